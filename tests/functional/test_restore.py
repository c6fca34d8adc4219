"""``topup restore`` on moto, which restores: settings, resumption and refusals."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from functional.lab import Lab
from functional.restoring import (
    AT,
    DeadError,
    dying,
    only,
    production,
    reach,
    refusing,
    restore,
    restore_tables,
    state,
)

from infra.cli.commands.restore import planned
from infra.cli.commands.switch import check_ready
from infra.cli.errors import OperatorError
from infra.cli.restore.restore_time import suffix
from infra.cli.target import TargetStack

CHANGES_MADE = 11
"""Of two tables: restore, billing mode, recovery, tags and protection of each; and the expiry of
one."""


@pytest.fixture
def target(lab: Lab) -> TargetStack:
    """A stack of production."""
    lab.fund("alice", 70)
    return production(lab)


@pytest.fixture
def two(target: TargetStack) -> TargetStack:
    """With a table that expires, and one that does not. The others are like them."""
    return only(target, "KeysTable", "QuotasTable")


def test_a_restore_has_every_setting_and_every_row(target: TargetStack) -> None:
    """Recovery, expiry, protection, tags, billing and indexes: what AWS leaves behind, and what it
    does not.
    """
    new = restore(target)
    assert new.tables() == {logical: f"{logical}{suffix(AT)}" for logical in target.tables()}
    assert state(new) == state(target)
    check_ready(new)


def test_a_restore_that_is_done_changes_nothing_more(target: TargetStack) -> None:
    """The same command again finds everything there."""
    new = restore(target)
    before = state(new)
    with dying(target, 1, before=True) as made:
        _, jobs = planned(target, target.tables(), AT)
        for job in jobs:
            job.start()
            job.settle(lambda _: None)
    assert made == []
    assert state(new) == before


def test_every_change_can_be_the_last_before_a_death(two: TargetStack) -> None:
    """The cases below are all that there are."""
    with dying(two, 0, before=True) as made:
        restore_tables(two)
    assert len(made) == CHANGES_MADE


def test_settings_that_change_later_are_brought_to_the_tables_in_use(target: TargetStack) -> None:
    """CloudFormation changes its own tables alone; the same command again does the rest."""
    new = restore(target)
    arn = target.client("dynamodb").describe_table(TableName="KeysTable")["Table"]["TableArn"]
    target.client("dynamodb").tag_resource(
        ResourceArn=arn, Tags=[{"Key": "team", "Value": "payments"}]
    )
    assert state(new) != state(target)
    with pytest.raises(OperatorError, match=r"KeysTable.* lacks tags"):
        check_ready(new)
    with dying(target, 2, before=True) as made:
        assert state(restore(new)) == state(target)
    assert made == ["TagResource"]


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, CHANGES_MADE + 1))
def test_an_interrupted_restore_goes_on(two: TargetStack, number: int, *, is_before: bool) -> None:
    """Whichever change was the last, made or not: what is there is found at AWS alone."""
    with dying(two, number, before=is_before), pytest.raises(DeadError):
        restore_tables(two)
    assert state(restore_tables(two)) == state(two)


FAILURES = [
    (operation, code)
    for operation in ("RestoreTableToPointInTime", "UpdateContinuousBackups", "DescribeTimeToLive")
    for code in ("ExpiredTokenException", "AccessDeniedException")
]


@pytest.mark.parametrize(
    ("operation", "code"), [*FAILURES, ("RestoreTableToPointInTime", "LimitExceededException")]
)
def test_one_table_that_fails_does_not_stop_the_others(
    target: TargetStack, operation: str, code: str
) -> None:
    """It is named, with the command that goes on; and that command does."""
    failing, others = (
        f"LedgerTable{suffix(AT)}",
        only(target, *(name for name in target.resources if name != "LedgerTable")),
    )
    with (
        refusing(target.session.events, operation, failing, code),
        pytest.raises(OperatorError, match=f"1 of 6(?s:.)*{failing}.*{code}") as failed,
    ):
        restore(target)
    assert failed.value.code == 3
    assert "topup restore --at" in failed.value.repair
    assert state(others.using(suffix(AT))) == state(others)
    assert state(restore(target)) == state(target)


@pytest.mark.parametrize("minutes", [-1441, 56])
def test_a_second_that_one_table_does_not_have_is_refused(
    target: TargetStack, minutes: int
) -> None:
    """Before anything is made."""
    with pytest.raises(OperatorError, match="not all tables"):
        restore(target, AT + timedelta(minutes=minutes))
    assert len(target.client("dynamodb").list_tables()["TableNames"]) == 6


def test_a_table_without_recovery_is_refused_by_name(target: TargetStack) -> None:
    """Five tables of six are no books."""
    off = {"PointInTimeRecoveryEnabled": False}
    target.client("dynamodb").update_continuous_backups(
        TableName="KeysTable", PointInTimeRecoverySpecification=off
    )
    with pytest.raises(OperatorError, match="recovery is off: KeysTable"):
        restore(target)


def test_a_restore_goes_on_when_aws_has_forgotten_the_second(target: TargetStack) -> None:
    """What is under way needs it no more."""
    with dying(target, 7, before=True), pytest.raises(DeadError):
        restore(target)
    for name in target.tables().values():
        reach(name, AT + timedelta(minutes=1), AT + timedelta(minutes=55))
    assert state(restore(target)) == state(target)


def test_a_table_of_that_name_that_is_no_restore_is_refused(target: TargetStack) -> None:
    """It is somebody's."""
    key = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    name = f"KeysTable{suffix(AT)}"
    target.client("dynamodb").create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **key)
    with pytest.raises(
        OperatorError, match=f"{name} already, and it is not a restore of KeysTable"
    ):
        restore(target)
    assert len(target.client("dynamodb").list_tables()["TableNames"]) == 7


def _without_recovery(client: Any, name: str) -> None:
    off = {"PointInTimeRecoveryEnabled": False}
    client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=off)


def _without_expiry(client: Any, name: str) -> None:
    off = {"Enabled": False, "AttributeName": "ttl"}
    client.update_time_to_live(TableName=name, TimeToLiveSpecification=off)


def _without_protection(client: Any, name: str) -> None:
    client.update_table(TableName=name, DeletionProtectionEnabled=False)


def _delete(client: Any, name: str) -> None:
    _without_protection(client, name)
    client.delete_table(TableName=name)


def _without_index(client: Any, name: str) -> None:
    gone = [{"Delete": {"IndexName": "open_holds"}}]
    client.update_table(TableName=name, GlobalSecondaryIndexUpdates=gone)


@pytest.mark.parametrize(
    ("lacking", "change"),
    [
        ("point-in-time recovery", _without_recovery),
        ("time to live", _without_expiry),
        ("deletion protection", _without_protection),
        ("there is no such table", _delete),
        ("index open_holds", _without_index),
    ],
    ids=["recovery", "expiry", "protection", "gone", "index"],
)
def test_nothing_is_switched_to_tables_that_lack_something(
    target: TargetStack, lacking: str, change: Callable[[Any, str], object]
) -> None:
    """Each lack by its name."""
    new = restore(target)
    change(target.client("dynamodb"), new.tables()["QuotasTable"])
    with pytest.raises(OperatorError, match=f"QuotasTable{suffix(AT)} lacks.*{lacking}"):
        check_ready(new)
