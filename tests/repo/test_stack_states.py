"""What `make deploy` and `make uninstall` do with a stack in every state that AWS knows, and that
nothing alive is deleted unasked.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from repo.account import ABSENT, ID, REGION, Account, described, listed, resource

from infra.build.artifact import PARSED
from infra.deploy import commands
from infra.deploy.stack_states import STATES, Kind, state_of
from infra.deploy.stage import Stage

TABLE: Final = "AWS::DynamoDB::Table"
POOL: Final = "AWS::Cognito::UserPool"
ROLE: Final = "AWS::IAM::Role"
KEPT: Final = {
    name: {"Type": TABLE, "DeletionPolicy": "RetainExceptOnCreate"}
    for name in ("QuotasTable", "LedgerTable")
}
TEMPLATE: Final = {"Parameters": {}, "Resources": KEPT}
ALIVE: Final = {
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "IMPORT_COMPLETE",
    "IMPORT_ROLLBACK_COMPLETE",
}
"""From which AWS updates a stack."""
NO_STACK: Final = {"REVIEW_IN_PROGRESS", "DELETE_COMPLETE"}
REMNANTS: Final = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}
SHAPE: Final = boto3.client("cloudformation", region_name=REGION).meta.service_model.shape_for(
    "StackStatus"
)
EVERY: Final = sorted(SHAPE.enum)
TABLES: Final = [
    resource(name, TABLE, "DELETE_FAILED", ResourceStatusReason="deletion protection")
    for name in KEPT
]
ROUTES: Final[dict[str, Any]] = {"Parameters": {"Runtime": {"AllowedValues": []}}, "Resources": {}}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The commands that would have been run, each of which fails, so that nothing follows; and a
    build with nothing in it.
    """
    found: list[list[str]] = []

    def call(command: list[str], **_: Any) -> int:
        found.append([Path(command[0]).name, *command[1:2]])
        return 1

    (tmp_path / PARSED).write_text(json.dumps(ROUTES))
    (tmp_path / ".topup").mkdir()
    monkeypatch.setattr(commands, "BUILD", tmp_path)
    monkeypatch.setattr(subprocess, "call", call)
    return found


def _stage(tmp_path: Path, kind: str = "dev") -> Stage:
    return Stage(
        "prod", "topup-prod", REGION, parameters={"Stage": kind}, folder=tmp_path / ".topup"
    )


def _account(
    monkeypatch: pytest.MonkeyPatch, status: str, rows: list[dict[str, Any]], kind: str = "dev"
) -> Account:
    """A stack that is gone once it is deleted."""
    account = Account(
        monkeypatch,
        DescribeStacks=lambda _: (
            ABSENT if account.called("DeleteStack") else described(status, Stage=kind)
        ),
        ListStackResources=listed(rows),
        GetTemplate={"TemplateBody": json.dumps(TEMPLATE)},
        DescribeStackResource=lambda params: (
            f"Resource {params['LogicalResourceId']} does not exist for stack topup-prod"
        ),
        DeleteStack={},
        CreateChangeSet={},
        DescribeChangeSet={"Status": "CREATE_COMPLETE"},
        ExecuteChangeSet={},
    )
    return account


def _answering(word: str) -> Callable[[str], str]:
    return lambda _: word


def _nobody(question: str) -> str:
    raise EOFError(question)


def test_every_state_that_aws_knows_has_a_line() -> None:
    assert sorted(STATES) == EVERY
    assert {status for status in EVERY if state_of(status).kind is Kind.ALIVE} == ALIVE
    assert {status for status in EVERY if state_of(status).kind is Kind.BUSY} == {
        status for status in EVERY if status.endswith("_IN_PROGRESS") and status not in NO_STACK
    }


@pytest.mark.parametrize("status", [*EVERY, "A_STATE_OF_NEXT_YEAR"])
def test_a_stack_with_books_is_never_deleted_by_a_deployment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[list[str]], status: str
) -> None:
    """In every state, without the operator's consent: it is updated, or left as it is."""
    account = _account(monkeypatch, status, [resource(name, TABLE) for name in KEPT])
    code = commands.deploy(_stage(tmp_path), answers=_answering("n"))
    assert not account.called("DeleteStack")
    assert ran == ([["sam", "deploy"]] if status in ALIVE | NO_STACK else [])
    assert code == (1 if status in ALIVE | NO_STACK else commands.REFUSED)


@pytest.mark.parametrize("status", [*EVERY, "A_STATE_OF_NEXT_YEAR"])
def test_where_a_deployment_stops_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    status: str,
) -> None:
    """The state's own name, and a next step."""
    _account(monkeypatch, status, [])
    commands.deploy(_stage(tmp_path), answers=_answering("n"))
    said = capsys.readouterr().err
    if not ran:
        assert status in said
        assert "aws cloudformation" in said or "again" in said or "in the way" in said


@pytest.mark.parametrize(
    ("kind", "yes", "answers", "deleted"),
    [
        ("dev", True, _nobody, True),
        ("dev", False, _answering("y"), True),
        ("dev", False, _answering(""), False),
        ("dev", False, _nobody, False),
        ("prod", True, _nobody, False),
        ("prod", True, _answering(""), False),
        ("prod", True, _answering("y"), True),
    ],
)
@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"])
def test_an_empty_stack_is_deleted_when_the_operator_agrees_in_production_only_at_the_terminal(
    *,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[list[str]],
    status: str,
    kind: str,
    yes: bool,
    answers: Callable[[str], str],
    deleted: bool,
) -> None:
    """YES=1 does not count where the stack is production's."""
    gone = [
        resource("QuotasTable", TABLE, "DELETE_COMPLETE"),
        resource("Role", ROLE, "CREATE_FAILED"),
    ]
    account = _account(monkeypatch, status, gone, kind)
    commands.deploy(_stage(tmp_path, kind), yes=yes, answers=answers)
    assert bool(account.called("DeleteStack")) is deleted
    assert bool(ran) is deleted


def test_a_deployment_that_fails_says_how_it_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first one in production leaves a stack that nothing but a deletion could free: nobody
    should do that by hand.
    """
    _account(monkeypatch, "REVIEW_IN_PROGRESS", [])
    assert commands.deploy(_stage(tmp_path), yes=True) == 1
    assert ran == [["sam", "deploy"]]
    assert "run the same command again" in capsys.readouterr().out


@pytest.mark.parametrize("status", sorted(REMNANTS))
def test_a_failed_first_deployment_of_production_is_led_out_of_and_its_tables_are_taken_along(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[list[str]],
    status: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Protected tables cannot be deleted, so that the rollback fails.

    They are kept, and the next stack begins with them.
    """
    asked: list[str] = []

    def agrees(question: str) -> str:
        asked.append(question)
        return "y"

    account = _account(monkeypatch, status, [*TABLES, resource("Role", ROLE)], "prod")
    account.answers["DescribeStacks"] = lambda _: (
        described("IMPORT_COMPLETE")
        if account.called("ExecuteChangeSet")
        else ABSENT
        if account.called("DeleteStack")
        else described(status)
    )
    commands.deploy(_stage(tmp_path, "prod"), yes=True, answers=agrees)
    assert "kept:    QuotasTable (physical-QuotasTable) deletion protection" in asked[0]
    assert "deleted: Role" in asked[0]
    (deletion,) = account.called("DeleteStack")
    assert deletion.get("RetainResources", []) == (list(KEPT) if status == "DELETE_FAILED" else [])
    (change,) = account.called("CreateChangeSet")
    assert {row["ResourceIdentifier"]["TableName"] for row in change["ResourcesToImport"]} == {
        f"physical-{name}" for name in KEPT
    }
    assert ran == [["sam", "deploy"]], capsys.readouterr().err


@pytest.mark.parametrize(
    ("standing", "led_out"),
    [(TABLES, True), ([*TABLES, resource("Role", ROLE, "DELETE_FAILED")], False)],
)
def test_what_a_deletion_cannot_remove_is_kept_if_it_is_a_table_and_named_if_not(
    *,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    standing: list[dict[str, Any]],
    led_out: bool,
) -> None:
    """As where AWS takes the deletion for a part of the rollback."""
    account = _account(monkeypatch, "ROLLBACK_FAILED", standing)
    account.answers["DescribeStacks"] = lambda _: (
        ABSENT
        if len(account.called("DeleteStack")) > 1
        else described("DELETE_FAILED" if account.called("DeleteStack") else "ROLLBACK_FAILED")
    )
    account.answers["CreateChangeSet"] = "not today"
    commands.deploy(_stage(tmp_path), answers=_answering("y"))
    assert [call.get("RetainResources", []) for call in account.called("DeleteStack")] == (
        [[], list(KEPT)] if led_out else [[]]
    )
    assert ("Role (physical-Role)" in capsys.readouterr().err) is not led_out
    assert not ran
    assert list((tmp_path / ".topup").glob("kept-*")), (
        "what stayed is written down before anything is deleted"
    )


@pytest.mark.parametrize("status", EVERY)
def test_uninstalling_keeps_the_books_or_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[list[str]], status: str
) -> None:
    """From every state in which AWS deletes a stack.

    What is in progress is waited for by the operator.
    """
    account = _account(monkeypatch, status, [resource(name, TABLE) for name in KEPT])
    code = commands.uninstall(_stage(tmp_path), {}, yes=True)
    kind = state_of(status).kind
    assert ran == ([["sam", "delete"]] if kind in (Kind.ALIVE, Kind.STUCK) else [])
    assert bool(account.called("DeleteStack")) is (kind is Kind.REMNANT)
    written = [path.name for path in (tmp_path / ".topup").iterdir()]
    assert written == (
        [f"kept-topup-prod.{ID}.{REGION}.json"]
        if kind in (Kind.ALIVE, Kind.STUCK, Kind.REMNANT)
        else []
    )
    assert code == {Kind.ABSENT: 0, Kind.REMNANT: 0, Kind.BUSY: commands.REFUSED}.get(kind, 1)


@pytest.mark.parametrize("answers", [_nobody, _answering(""), _answering("n")])
def test_production_is_not_uninstalled_before_the_operator_agrees(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[list[str]],
    answers: Callable[[str], str],
) -> None:
    """YES=1 or not; what the stack was deployed with counts."""
    account = _account(
        monkeypatch, "UPDATE_COMPLETE", [resource(name, TABLE) for name in KEPT], "prod"
    )
    assert commands.uninstall(_stage(tmp_path), {}, yes=True, answers=answers) == commands.REFUSED
    assert not ran
    assert not account.called("DeleteStack")
