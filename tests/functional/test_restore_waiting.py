"""A restore that takes its time: what AWS says meanwhile, what is waited for and how long."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from functional.lab import Lab
from functional.restoring import AT, Appearing, production, reach, refusing, restore

from infra.cli.commands.restore import planned
from infra.cli.errors import OperatorError
from infra.cli.restore.restoration import (
    HOURS_MAX,
    LATER,
    POLL_SECONDS,
    STEPS,
    Restoration,
    restore_all,
)
from infra.cli.restore.restore_time import suffix
from infra.cli.target import TargetStack


@pytest.fixture
def target(lab: Lab) -> TargetStack:
    """A stack of production."""
    return production(lab)


def _quotas(target: TargetStack) -> Restoration:
    _, jobs = planned(target, target.tables(), AT)
    (job,) = (job for job in jobs if job.original == "QuotasTable")
    job.start()
    return job


@pytest.mark.parametrize(
    ("state", "index"), [("CREATING", "ACTIVE"), ("UPDATING", "ACTIVE"), ("ACTIVE", "CREATING")]
)
def test_a_table_that_is_being_made_is_waited_for(
    target: TargetStack, state: str, index: str
) -> None:
    """Until AWS says that it is active, and so are its indexes: functions read them as soon as they
    are switched.
    """
    job = _quotas(target)
    seen = Appearing(job.client, job.target, state, index)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            seen.state = seen.index = "ACTIVE"

    job.wait(sleep)
    assert slept == [POLL_SECONDS] * 3


def test_a_restore_is_waited_for_a_day_at_most(target: TargetStack) -> None:
    """Then the command ends, and says what it waited for."""
    job = replace(_quotas(target), client=Stubborn())
    slept: list[float] = []
    with pytest.raises(OperatorError, match=f"{job.target} was not ready after {HOURS_MAX} hours"):
        job.wait(slept.append)
    assert sum(slept) == HOURS_MAX * 3600


class Stubborn:
    """A DynamoDB that never finishes. Thousands of moto's answers would take minutes."""

    @staticmethod
    def describe_table(**_: str) -> dict[str, Any]:
        """Always the same."""
        return {"Table": {"TableStatus": "CREATING"}}


@pytest.mark.parametrize(
    "state", ["DELETING", "ARCHIVED", "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "gone"]
)
def test_a_table_that_cannot_become_active_is_not_waited_for(
    target: TargetStack, state: str
) -> None:
    """Every other state that DynamoDB gives a table, and one that was deleted meanwhile."""
    job = _quotas(target)
    if state == "gone":
        job.client.delete_table(TableName=job.target)
    else:
        Appearing(job.client, job.target, state)
    slept: list[float] = []
    with pytest.raises(OperatorError, match=f"{job.target} is {state}"):
        job.wait(slept.append)
    assert slept == []


@pytest.mark.parametrize("code", LATER)
def test_a_setting_that_aws_cannot_take_yet_is_given_later(target: TargetStack, code: str) -> None:
    """A table that was just made has no backups yet, and takes one change at a time."""
    job = _quotas(target)
    slept: list[float] = []
    with ExitStack() as refusals:
        refusals.enter_context(
            refusing(job.client.meta.events, "UpdateContinuousBackups", job.target, code)
        )

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            refusals.close()

        job.settle(lambda _: None, sleep)
    assert slept == [POLL_SECONDS]
    assert job.lacks() == []


def test_a_setting_that_shows_late_is_given_once(target: TargetStack) -> None:
    """Tags and expiry show a little later, and DynamoDB refuses a second change of the expiry
    within an hour.
    """
    job = _quotas(target)
    given: list[str] = []
    slept: list[float] = []

    def hide(parsed: dict[str, Any], **_: Any) -> None:
        if given and len(slept) < 2:
            parsed["TimeToLiveDescription"] = {"TimeToLiveStatus": "DISABLED"}

    job.client.meta.events.register(
        "before-call.dynamodb.UpdateTimeToLive", lambda **_: given.append("expiry")
    )
    job.client.meta.events.register("after-call.dynamodb.DescribeTimeToLive", hide)
    job.settle(lambda _: None, slept.append)
    assert (given, slept) == (["expiry"], [POLL_SECONDS] * 2)
    assert job.lacks() == []


def test_progress_is_reported_for_every_step(target: TargetStack) -> None:
    """The bar's total is the given one."""
    _, jobs = planned(target, target.tables(), AT)
    told: list[str] = []
    restore_all(jobs, "", told.append)
    assert len(told) == STEPS * len(jobs)


def test_a_restore_of_the_latest_second_is_inside_of_what_all_tables_have(
    target: TargetStack,
) -> None:
    """The slowest table's end."""
    at, jobs = planned(target, target.tables(), None)
    assert at > AT
    assert {job.target for job in jobs} == {
        f"{name}{suffix(at)}" for name in target.tables().values()
    }


def test_a_second_restore_reads_the_tables_in_use_or_the_stacks_own(target: TargetStack) -> None:
    """Names are the stack's own with one suffix, never two."""
    new = restore(target)
    later = AT + timedelta(minutes=10)
    for name in new.tables().values():
        reach(name, AT, later)
    for sources in (new.tables(), new.own_tables()):
        _, jobs = planned(new, sources, later)
        assert {job.source for job in jobs} == set(sources.values())
        assert {job.target for job in jobs} == {
            f"{name}{suffix(later)}" for name in target.tables().values()
        }
    assert new.using("").tables() == target.tables()
    assert new.using("").settings == target.settings
