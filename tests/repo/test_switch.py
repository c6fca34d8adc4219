"""Which tables the functions use: one parameter of the stack, changed by ``topup switch`` and by
nothing else.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from repo.account import ABSENT, REGION, Account, described, listed
from repo.declared import parameters
from repo.transformed import transformed

from infra.build.artifact import PARSED
from infra.cli.commands.switch import unswitched
from infra.cli.errors import OperatorError
from infra.cli.restore.stack_update import change_parameter
from infra.cli.target import Resource, TargetStack
from infra.deploy import choices, uninstall
from infra.deploy import commands as stages
from infra.deploy.kept import Kept
from infra.deploy.stack_states import STATES, Kind
from infra.deploy.stage import Stage

SUFFIX: Final = "-at-20261129T120000Z"
OTHER: Final = "-at-20261128T000000Z"
CHANGE_SETS: Final[dict[str, Any]] = {
    "CreateChangeSet": {},
    "DescribeChangeSet": {"Status": "CREATE_COMPLETE"},
    "ExecuteChangeSet": {},
}
OLD: Final = {"Stage": "prod", "SiteUrl": "", "TableSuffix": ""}


def _standing(
    monkeypatch: pytest.MonkeyPatch, status: str = "UPDATE_COMPLETE", **more: Any
) -> Account:
    return Account(monkeypatch, DescribeStacks=lambda _: described(status, **more), **CHANGE_SETS)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """What would have been run. Each fails, so that nothing follows."""
    found: list[list[str]] = []

    def call(command: list[str], **_: Any) -> int:
        found.append(command)
        return 1

    (tmp_path / PARSED).write_text(
        json.dumps({"Parameters": {"Runtime": {"AllowedValues": []}}, "Resources": {}})
    )
    monkeypatch.setattr(stages, "BUILD", tmp_path)
    monkeypatch.setattr(subprocess, "call", call)
    return found


def _no_resource(asked: dict[str, Any]) -> str:
    return f"Resource {asked['LogicalResourceId']} does not exist for stack topup-prod"


def _switch(account: Account, value: str = SUFFIX) -> bool:
    return change_parameter(account.client("cloudformation"), "topup-prod", "TableSuffix", value)


def test_a_switch_changes_one_parameter_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template that is deployed, with its transform, and every other parameter as it is: also
    one that is empty.
    """
    account = _standing(monkeypatch, **OLD)
    assert _switch(account)
    (asked,) = account.called("CreateChangeSet")
    assert asked["UsePreviousTemplate"] is True
    assert set(asked["Capabilities"]) == {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"}
    told = {
        row["ParameterKey"]: row.get("ParameterValue", row.get("UsePreviousValue"))
        for row in asked["Parameters"]
    }
    assert told == {"Stage": True, "SiteUrl": True, "TableSuffix": SUFFIX}
    assert len(account.called("ExecuteChangeSet")) == 1


def test_a_switch_to_what_is_in_use_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation would refuse an empty change set."""
    account = _standing(monkeypatch, **{**OLD, "TableSuffix": SUFFIX})
    assert not _switch(account)
    assert not account.called("CreateChangeSet")


def test_a_stack_of_an_earlier_release_cannot_be_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its template does not know other tables."""
    account = _standing(monkeypatch, Stage="prod")
    with pytest.raises(OperatorError, match="no parameter TableSuffix"):
        _switch(account)


@pytest.mark.parametrize("status", sorted(STATES))
def test_only_a_working_stack_is_switched(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    ready = STATES[status].kind is Kind.ALIVE
    account = Account(
        monkeypatch,
        DescribeStacks=lambda _: described(
            "UPDATE_COMPLETE" if account.called("ExecuteChangeSet") else status, **OLD
        ),
        **CHANGE_SETS,
    )
    if ready:
        assert _switch(account)
    else:
        with pytest.raises(OperatorError, match=status):
            _switch(account)
    assert len(account.called("ExecuteChangeSet")) == ready


@pytest.mark.parametrize(
    "answers",
    [
        {"DescribeChangeSet": {"Status": "FAILED", "StatusReason": "no"}},
        {"status": "UPDATE_ROLLBACK_COMPLETE"},
    ],
)
def test_a_failed_update_reports_that_nothing_changed(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any]
) -> None:
    """Refused while it is prepared, or rolled back."""
    ends = answers.get("status", "UPDATE_COMPLETE")
    account = Account(
        monkeypatch,
        DescribeStacks=lambda _: described(
            ends if account.called("ExecuteChangeSet") else "CREATE_COMPLETE", **OLD
        ),
        **{**CHANGE_SETS, **{name: row for name, row in answers.items() if name != "status"}},
    )
    with pytest.raises(OperatorError, match="failed") as failed:
        _switch(account)
    assert failed.value.code == 3
    assert "tables of before are in use" in failed.value.repair


@pytest.mark.parametrize(
    ("told", "deployed", "expected"),
    [
        ({}, {}, {}),
        ({}, {"TableSuffix": ""}, {}),
        ({}, {"TableSuffix": SUFFIX}, {"TableSuffix": SUFFIX}),
        ({"TableSuffix": SUFFIX}, {"TableSuffix": SUFFIX}, {"TableSuffix": SUFFIX}),
        ({"TableSuffix": OTHER}, {"TableSuffix": SUFFIX}, {"TableSuffix": SUFFIX}),
        ({"TableSuffix": SUFFIX}, {"TableSuffix": ""}, {"TableSuffix": ""}),
        ({"TableSuffix": ""}, {"TableSuffix": SUFFIX}, {"TableSuffix": SUFFIX}),
        ({"TableSuffix": SUFFIX}, {}, {"TableSuffix": ""}),
    ],
)
def test_a_deployment_never_switches(
    told: dict[str, str], deployed: dict[str, str], expected: dict[str, str]
) -> None:
    """What the stack has wins over a file, and a new stack begins with tables that it has.

    A disagreement is reported.
    """
    decided, words = choices.tables(told, deployed)
    assert decided == expected
    assert bool(words) == (
        "TableSuffix" in told and told["TableSuffix"] != deployed.get("TableSuffix", "")
    )


@pytest.mark.parametrize("told", [{}, {"TableSuffix": ""}, {"TableSuffix": OTHER}])
def test_make_deploy_goes_on_with_the_tables_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commands: list[list[str]], told: dict[str, str]
) -> None:
    """From every machine, also from one whose stage file is older than the switch."""
    now = described("UPDATE_COMPLETE", **{**OLD, "TableSuffix": SUFFIX})
    Account(monkeypatch, DescribeStacks=now, DescribeStackResource=_no_resource)
    stage = Stage(
        "prod",
        "topup-prod",
        REGION,
        parameters={"Stage": "dev", **told},
        folder=tmp_path / ".topup",
    )
    stages.deploy(stage, yes=True)
    (command,) = commands
    assert [word for word in command if word.startswith("TableSuffix=")] == [
        f"TableSuffix={SUFFIX}"
    ]


def test_leaving_names_the_restored_tables_as_the_books(tmp_path: Path) -> None:
    """They are none of the stack's resources: nothing else would say so.

    The way back brings their suffix along.
    """
    rows = [
        {
            "ResourceType": "AWS::DynamoDB::Table",
            "LogicalResourceId": "T",
            "PhysicalResourceId": "table-1",
        }
    ]
    template = uninstall.only(transformed(), {"QuotasTable"}, {"TableSuffix": SUFFIX})
    assert template["Parameters"]["TableSuffix"]["Default"] == SUFFIX
    said = uninstall.farewell(Kept("topup-prod", uninstall.to_import(rows), template), tmp_path)
    assert "  table-1\n" in said
    assert f"table-1{SUFFIX} (the books" in said
    assert SUFFIX not in uninstall.farewell(
        Kept("topup-prod", uninstall.to_import(rows), {}), tmp_path
    )


def test_taken_back_after_a_restore_the_stack_has_its_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, commands: list[list[str]]
) -> None:
    """The import brings the suffix, and the deployment behind it goes on with it, though the
    stage's file says nothing.
    """
    account = Account(
        monkeypatch,
        DescribeStacks=lambda _: (
            described("IMPORT_COMPLETE", TableSuffix=SUFFIX)
            if account.called("ExecuteChangeSet")
            else ABSENT
        ),
        ListStackResources=listed(),
        DescribeStackResource=_no_resource,
        **CHANGE_SETS,
    )
    rows = [
        {
            "ResourceType": "AWS::DynamoDB::Table",
            "LogicalResourceId": "T",
            "ResourceIdentifier": {"TableName": "table-1"},
        }
    ]
    Kept("topup-prod", rows, {"Resources": {}}, "123456789012", REGION, "1").write(
        tmp_path / ".topup"
    )
    stages.deploy(
        Stage(
            "prod", "topup-prod", REGION, parameters={"Stage": "dev"}, folder=tmp_path / ".topup"
        ),
        yes=True,
    )
    assert f"TableSuffix={SUFFIX}" in commands[0]


def test_the_template_takes_what_restores_are_named_by() -> None:
    """And nothing else, so that no mistyped suffix points at tables that are not there."""
    pattern = parameters()["TableSuffix"]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in ("", SUFFIX))
    assert not any(
        re.fullmatch(pattern, value)
        for value in ("x", "-at-", "-at-2026-11-29", SUFFIX + "x", SUFFIX.lower())
    )


def test_every_function_gets_the_tables_in_use() -> None:
    functions = [
        row["Properties"]
        for row in transformed()["Resources"].values()
        if row["Type"] == "AWS::Lambda::Function"
    ]
    for function in functions:
        told = {
            name: value
            for name, value in function["Environment"]["Variables"].items()
            if name.endswith("_TABLE")
        }
        assert len(told) == 6
        assert all(
            re.fullmatch(r"\$\{\w+Table\}\$\{TableSuffix\}", value["Fn::Sub"])
            for value in told.values()
        )


class _Session:
    """Leads to the account, as boto3's own does to AWS."""

    profile_name = "default"

    def __init__(self, account: Account) -> None:
        self._account = account

    def client(self, service: str, **_: Any) -> Any:
        return self._account.client(service)


@pytest.mark.parametrize(
    ("published", "left"), [("", []), (SUFFIX, []), (OTHER, ["WebhookFunction"])]
)
def test_a_function_is_switched_when_what_is_called_is(
    monkeypatch: pytest.MonkeyPatch, published: str, left: list[str]
) -> None:
    """With snapshots the alias's version is called, which the update of the stack does not publish:
    the operator is asked to deploy.
    """

    def configured(asked: dict[str, Any]) -> dict[str, Any]:
        suffix = published if asked.get("Qualifier") else SUFFIX
        return {"Environment": {"Variables": {"STAGE": "prod", "QUOTAS_TABLE": f"quotas{suffix}"}}}

    kinds = {
        "QuotasTable": ("quotas", "AWS::DynamoDB::Table"),
        "WebhookFunction": ("webhook", "AWS::Lambda::Function"),
    }
    kinds |= {"WebhookFunctionAliaslive": ("live", "AWS::Lambda::Alias")} if published else {}
    resources = {name: Resource(*row) for name, row in kinds.items()}
    account = Account(monkeypatch, GetFunctionConfiguration=configured)
    settings: Any = None
    new = TargetStack(
        _Session(account),
        None,
        REGION,
        "topup-prod",
        resources,
        {},
        settings,
        "",
        "",
        0,
        suffix=SUFFIX,
    )
    assert unswitched(new) == left
