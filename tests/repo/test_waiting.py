"""Waiting for CloudFormation: bounded, with a line a minute, and over as soon as AWS says so."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError
from botocore.stub import Stubber

from infra.deploy import waiting
from infra.deploy.waiting import wait


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stubber:
    """A CloudFormation that is asked twice a minute, and minutes that are over at once."""
    monkeypatch.setattr(waiting, "PAUSE_SECONDS", 0)
    monkeypatch.setattr(waiting, "ASKED_A_MINUTE", 2)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    found = Stubber(boto3.client("cloudformation", region_name="eu-west-1", **keys))
    found.activate()
    return found


def _in(status: str) -> dict[str, Any]:
    return {
        "Stacks": [
            {"StackName": "s", "CreationTime": "2026-11-01T00:00:00Z", "StackStatus": status}
        ]
    }


def test_a_long_wait_says_every_minute_what_it_waits_for(
    stub: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in ["DELETE_IN_PROGRESS"] * 4 + ["DELETE_COMPLETE"]:
        stub.add_response("describe_stacks", _in(status))
    wait(stub.client, "stack_delete_complete", "deleting s", StackName="s")
    assert capsys.readouterr().out.splitlines() == ["  deleting s: 1 min", "  deleting s: 2 min"]


def test_a_failure_ends_the_wait_immediately(
    stub: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is AWS's answer, not a matter of time."""
    stub.add_response("describe_stacks", _in("DELETE_FAILED"))
    with pytest.raises(WaiterError, match="DELETE_FAILED"):
        wait(stub.client, "stack_delete_complete", "deleting s", StackName="s")
    assert capsys.readouterr().out == ""


def test_nothing_is_waited_for_longer_than_an_hour(
    stub: Stubber, capsys: pytest.CaptureFixture[str]
) -> None:
    """The operator is informed, and AWS goes on."""
    for _ in range(waiting.MINUTES_MAX * 2):
        stub.add_response("describe_stacks", _in("DELETE_IN_PROGRESS"))
    with pytest.raises(WaiterError, match="Max attempts"):
        wait(stub.client, "stack_delete_complete", "deleting s", StackName="s")
    assert len(capsys.readouterr().out.splitlines()) == waiting.MINUTES_MAX - 1
