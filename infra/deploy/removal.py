"""Deletes what is left of a stack that failed, after its resources were listed and somebody agreed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import WaiterError

from infra.deploy import uninstall
from infra.deploy.waiting import wait

RETAINABLE: Final = "DELETE_FAILED"
"""RetainResources is for stacks in this state:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DeleteStack.html"""
Agree = Callable[[str], bool]
"""Shows a question; True for yes."""


class RemovalError(Exception):
    """It was not deleted; the message says what stands in the way and what to do."""


@dataclass(frozen=True, slots=True)
class Remnant:
    """``found``: the stack as described."""

    client: Any
    found: Mapping[str, Any]
    account: str
    folder: Path

    @property
    def stack(self) -> str:
        """Its name."""
        return str(self.found["StackName"])

    def remove(self, agree: Agree) -> None:
        """Tables and users stay, and are written down first.

        Raises RemovalError where nobody agreed or AWS cannot.
        """
        rows = uninstall.living(uninstall.resources(self.client, self.found["StackId"]))
        keeps = [row["LogicalResourceId"] for row in rows if row["ResourceType"] in uninstall.KEPT]
        kept = uninstall.survey(self.client, self.found, self.account) if keeps else None
        if not agree(self.question(rows)):
            raise RemovalError(
                f"{self.stack} ({self.found['StackStatus']}) was left as it is, and is in the way of a deployment"
            )
        if kept:
            kept.write(self.folder)
        self._delete(keeps)

    def question(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """What is there, and what would become of it."""
        if not rows:
            return f"{self.stack} is empty ({self.found['StackStatus']}) and in the way of a deployment. Delete the empty stack?"
        lines = [
            f"  {_fate(row)} {row['LogicalResourceId']} ({row['PhysicalResourceId']}) {_reason(row)}".rstrip()
            for row in rows
        ]
        heads = [
            f"{self.stack} is what a failed operation left ({self.found['StackStatus']}). In it there is still:",
            *lines,
        ]
        asked = "Delete the stack, keep every table and user pool, and take them into the next stack of this name?"
        return "\n".join([*heads, asked])

    def _delete(self, keeps: list[str]) -> None:
        """First as the template says, which keeps them; what then stands in the way is kept by name."""
        stack_id = self.found["StackId"]
        retained = (
            {"RetainResources": keeps} if keeps and self.found["StackStatus"] == RETAINABLE else {}
        )
        self.client.delete_stack(StackName=stack_id, **retained)
        try:
            wait(self.client, "stack_delete_complete", f"deleting {self.stack}", StackName=stack_id)
        except WaiterError as error:
            blocking = [
                row
                for row in uninstall.resources(self.client, stack_id)
                if row["ResourceStatus"] == RETAINABLE
            ]
            names = [row["LogicalResourceId"] for row in blocking]
            if retained or not names or not set(names) <= set(keeps):
                raise RemovalError(_stands_in_the_way(self.stack, blocking, error)) from error
            self.client.delete_stack(StackName=stack_id, RetainResources=names)
            wait(self.client, "stack_delete_complete", f"deleting {self.stack}", StackName=stack_id)


def _fate(row: Mapping[str, Any]) -> str:
    return "kept:   " if row["ResourceType"] in uninstall.KEPT else "deleted:"


def _reason(row: Mapping[str, Any]) -> str:
    return str(row.get("ResourceStatusReason", ""))


def _stands_in_the_way(stack: str, rows: Sequence[Mapping[str, Any]], error: Exception) -> str:
    lines = [
        f"  {row['LogicalResourceId']} ({row.get('PhysicalResourceId', '')}) {_reason(row)}"
        for row in rows
    ] or [f"  {error}"]
    return "\n".join(
        [
            f"AWS could not delete {stack}. In the way:",
            *lines,
            "Remove the cause, then run the same command again",
        ]
    )
