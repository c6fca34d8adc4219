"""Leaving with the books kept: nothing that stays is forgotten, and the file that says so is used
where it belongs and nowhere else.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from repo.account import ABSENT, ID, REGION, Account, described, listed, resource
from repo.transformed import transformed

from infra.build.artifact import PARSED
from infra.deploy import commands as stages
from infra.deploy import kept, uninstall
from infra.deploy.kept import Kept
from infra.deploy.stage import Stage

RETAINED: Final = {
    name
    for name, row in transformed()["Resources"].items()
    if row.get("DeletionPolicy", "").startswith("Retain")
}
ROWS: Final = [resource(name, row["Type"]) for name, row in transformed()["Resources"].items()]
OTHER: Final = "210987654321"
CHANGE_SETS: Final[dict[str, Any]] = {
    "CreateChangeSet": {},
    "DescribeChangeSet": {"Status": "CREATE_COMPLETE"},
    "ExecuteChangeSet": {},
}


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The commands that would have been run. Each fails, so that nothing follows."""
    found: list[str] = []

    def call(command: list[str], **_: Any) -> int:
        found.append(command[1])
        return 1

    (tmp_path / PARSED).write_text(
        json.dumps({"Parameters": {"Runtime": {"AllowedValues": []}}, "Resources": {}})
    )
    (tmp_path / ".topup").mkdir()
    monkeypatch.setattr(stages, "BUILD", tmp_path)
    monkeypatch.setattr(subprocess, "call", call)
    return found


def _stage(tmp_path: Path) -> Stage:
    return Stage(
        "prod", "topup-prod", REGION, parameters={"Stage": "dev"}, folder=tmp_path / ".topup"
    )


def _standing(
    monkeypatch: pytest.MonkeyPatch,
    *pages: list[dict[str, Any]],
    body: dict[str, Any] | None = None,
    **more: Any,
) -> Account:
    def one(params: dict[str, Any]) -> Any:
        rows = [row for row in ROWS if row["LogicalResourceId"] == params["LogicalResourceId"]]
        return (
            {"StackResourceDetail": rows[0]}
            if rows
            else f"Resource {params['LogicalResourceId']} does not exist for stack topup-prod"
        )

    answers: dict[str, Any] = {
        "DescribeStacks": described("UPDATE_COMPLETE"),
        "ListStackResources": listed(*pages),
        "GetTemplate": {"TemplateBody": json.dumps(body or transformed())},
        "DescribeStackResource": one,
        **more,
    }
    return Account(monkeypatch, **answers)


def _named(tmp_path: Path) -> set[str]:
    (file,) = (tmp_path / ".topup").glob("kept-*")
    return {row["LogicalResourceId"] for row in json.loads(file.read_text())["resources"]}


def test_a_stack_of_more_than_a_hundred_resources_forgets_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[str]
) -> None:
    """The list comes in pages, and what is kept may be on the last one."""
    others = [resource(f"Version{number}", "AWS::Lambda::Version") for number in range(60)]
    rows = [*others, *(row for row in ROWS if row["LogicalResourceId"] not in RETAINED)]
    last = [row for row in ROWS if row["LogicalResourceId"] in RETAINED]
    assert len(rows) > 100
    account = _standing(
        monkeypatch, rows[:100], rows[100:], last, DescribeStackResources={"StackResources": []}
    )
    stages.uninstall(_stage(tmp_path), {}, yes=True)
    assert (_named(tmp_path), ran) == (RETAINED, ["delete"])
    assert not account.called("DescribeStackResources"), "it stops at 100"


@pytest.mark.parametrize("missing", sorted(RETAINED))
def test_a_list_that_is_not_whole_deletes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[str],
    capsys: pytest.CaptureFixture[str],
    missing: str,
) -> None:
    """The template keeps it, AWS has it, and the list does not name it."""
    _standing(monkeypatch, [row for row in ROWS if row["LogicalResourceId"] != missing])
    assert stages.uninstall(_stage(tmp_path), {}, yes=True) == stages.REFUSED
    assert missing in capsys.readouterr().err
    assert (ran, list((tmp_path / ".topup").iterdir())) == ([], [])


def test_a_pool_that_was_never_made_is_not_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[str]
) -> None:
    """With an issuer of one's own the template's condition leaves it out."""
    rows = [row for row in ROWS if row["LogicalResourceId"] != "UserPool"]
    _standing(
        monkeypatch,
        rows,
        DescribeStackResource="Resource UserPool does not exist for stack topup-prod",
    )
    stages.uninstall(_stage(tmp_path), {}, yes=True)
    assert (_named(tmp_path), ran) == (RETAINED - {"UserPool"}, ["delete"])


@pytest.mark.parametrize("policy", ["Delete", None])
def test_a_table_that_the_deployed_template_does_not_keep_stops_everything(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[str],
    capsys: pytest.CaptureFixture[str],
    policy: str | None,
) -> None:
    """It would be written down as kept, and be gone."""
    body = json.loads(json.dumps(transformed()))
    body["Resources"]["QuotasTable"] |= {"DeletionPolicy": policy}
    _standing(monkeypatch, ROWS, body=body)
    assert stages.uninstall(_stage(tmp_path), {}, yes=True) == stages.REFUSED
    assert "QuotasTable" in capsys.readouterr().err
    assert not ran


def test_a_kept_resource_that_could_not_be_taken_back_stops_everything(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A release that keeps more than this one knows."""
    body = json.loads(json.dumps(transformed()))
    body["Resources"]["ParkedQueue"] |= {"DeletionPolicy": "Retain"}
    _standing(monkeypatch, ROWS, body=body)
    assert stages.uninstall(_stage(tmp_path), {}, yes=True) == stages.REFUSED
    assert "ParkedQueue" in capsys.readouterr().err
    assert not ran


def _left(tmp_path: Path, account: str = ID, region: str = REGION, stack_id: str = "1") -> Path:
    (tmp_path / ".topup").mkdir(exist_ok=True)
    rows = [
        {
            "ResourceType": "AWS::DynamoDB::Table",
            "LogicalResourceId": "T",
            "ResourceIdentifier": {"TableName": f"table-{stack_id}"},
        }
    ]
    return Kept(
        "topup-prod",
        rows,
        {"Resources": {}},
        account,
        region,
        stack_id,
        "2026-11-01T00:00:00+00:00",
    ).write(tmp_path / ".topup")


def _empty(monkeypatch: pytest.MonkeyPatch, **more: Any) -> Account:
    account = Account(
        monkeypatch,
        DescribeStacks=lambda _: (
            described("IMPORT_COMPLETE") if account.called("ExecuteChangeSet") else ABSENT
        ),
        **{**CHANGE_SETS, **more},
    )
    return account


def test_what_was_kept_is_taken_back_and_the_file_goes_only_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[str]
) -> None:
    """An import that AWS refuses leaves the file, for another try."""
    file = _left(tmp_path)
    _empty(monkeypatch, CreateChangeSet="not today")
    assert stages.deploy(_stage(tmp_path), yes=True) == stages.REFUSED
    assert (file.exists(), ran) == (True, [])
    _empty(monkeypatch)
    stages.deploy(_stage(tmp_path), yes=True)
    assert (file.exists(), ran) == (False, ["deploy"])


def test_the_kept_file_says_where_and_when(tmp_path: Path) -> None:
    document = json.loads(_left(tmp_path).read_text())
    assert (
        document["account"],
        document["region"],
        document["stack_id"],
        document["kept_at"][:4],
    ) == (ID, REGION, "1", "2026")


def test_two_accounts_and_two_regions_have_a_file_each(tmp_path: Path) -> None:
    """Though the stage has one name."""
    files = {
        _left(tmp_path),
        _left(tmp_path, account=OTHER),
        _left(tmp_path, region="eu-central-1"),
    }
    assert len(files) == 3
    assert kept.elsewhere(tmp_path / ".topup", "topup-prod", ID, REGION) == [
        f"account {ID}, region eu-central-1",
        f"account {OTHER}, region {REGION}",
    ]
    assert kept.elsewhere(tmp_path / ".topup", "topup", ID, REGION) == []


def test_the_file_of_an_earlier_stack_is_set_aside_not_overwritten(tmp_path: Path) -> None:
    _left(tmp_path)
    _left(tmp_path, stack_id="2")
    _left(tmp_path, stack_id="2")
    _left(tmp_path, stack_id="3")
    texts = [path.read_text() for path in (tmp_path / ".topup").iterdir()]
    assert sorted(
        table for table in ("table-1", "table-2", "table-3") for text in texts if table in text
    ) == [
        "table-1",
        "table-2",
        "table-3",
    ]


@pytest.mark.parametrize(
    "name",
    [kept.NAME.format(stack="topup-prod", account=ID, region=REGION), "kept-topup-prod.json"],
)
@pytest.mark.parametrize("place", [(OTHER, REGION), (ID, "eu-central-1")])
def test_a_file_of_another_account_or_region_is_refused_with_both_named(
    *,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[str],
    capsys: pytest.CaptureFixture[str],
    name: str,
    place: tuple[str, str],
) -> None:
    _left(tmp_path, *place).rename(tmp_path / ".topup" / name)
    account = _empty(monkeypatch)
    assert stages.deploy(_stage(tmp_path), yes=True) == stages.REFUSED
    said = capsys.readouterr().err
    assert all(word in said for word in (*place, ID, REGION, "AWS_PROFILE"))
    assert (ran, account.called("CreateChangeSet")) == ([], [])


@pytest.mark.parametrize(("word", "commands"), [("y", ["deploy"]), ("", [])])
def test_books_that_were_left_elsewhere_are_named_before_empty_tables_are_made(
    *,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ran: list[str],
    capsys: pytest.CaptureFixture[str],
    word: str,
    commands: list[str],
) -> None:
    """A region mistyped, or the other account's keys in the shell."""
    _left(tmp_path, OTHER)
    _empty(monkeypatch)
    asked: list[str] = []

    def answers(question: str) -> str:
        asked.append(question)
        return word

    stages.deploy(_stage(tmp_path), answers=answers)
    assert OTHER in asked[0]
    assert ran == commands
    assert (OTHER in capsys.readouterr().err) is (not commands)


def test_a_file_of_the_old_form_is_understood(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ran: list[str]
) -> None:
    """It says neither account nor region."""
    document = json.loads(_left(tmp_path).read_text())
    next((tmp_path / ".topup").iterdir()).unlink()
    old = tmp_path / ".topup" / "kept-topup-prod.json"
    old.write_text(json.dumps({name: document[name] for name in ("resources", "template")}))
    account = _empty(monkeypatch)
    stages.deploy(_stage(tmp_path), yes=True)
    assert account.called("CreateChangeSet")[0]["ResourcesToImport"] == document["resources"]
    assert (old.exists(), ran) == (False, ["deploy"])


def test_what_is_taken_back_fits_into_one_request() -> None:
    """A template body has 51 200 bytes at most.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
    """
    found = uninstall.only(transformed(), RETAINED, {})
    assert len(json.dumps(found)) < 51_200
