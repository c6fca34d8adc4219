"""Deletes the remains of a failed stack, after listing its resources and asking the operator."""

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
"""Shows a question, and returns whether the operator says yes."""


class RemovalError(Exception):
    """The stack was not deleted. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Remnant:
    """Deletes a stack that a failed operation left, but keeps its tables and users.

    ``found`` is CloudFormation's description of it. The file that lists what is kept is written to
    ``folder``.
    """

    client: Any
    found: Mapping[str, Any]
    account: str
    folder: Path

    @property
    def stack(self) -> str:
        """Return the stack's name."""
        return str(self.found["StackName"])

    def remove(self, agree: Agree) -> None:
        """Delete the stack, but keep its tables and users, and write the file that lists them.

        Raises RemovalError if the operator says no, or if AWS cannot delete it.
        """
        rows = uninstall.living(uninstall.resources(self.client, self.found["StackId"]))
        keeps = [row["LogicalResourceId"] for row in rows if row["ResourceType"] in uninstall.KEPT]
        kept = uninstall.survey(self.client, self.found, self.account) if keeps else None
        if not agree(self.question(rows)):
            status = self.found["StackStatus"]
            raise RemovalError(
                f"{self.stack} ({status}) was left as it is, and is in the way of a deployment"
            )
        if kept:
            kept.write(self.folder)
        self._delete(keeps)

    def question(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """Return the question whether to delete this stack, for the operator.

        It says for each of its resources, ``rows``, whether it is kept or deleted.
        """
        status = self.found["StackStatus"]
        if not rows:
            empty = f"{self.stack} is empty ({status}) and in the way of a deployment"
            return f"{empty}. Delete the empty stack?"
        head = f"{self.stack} is what a failed operation left ({status}). In it there is still:"
        lines = [f"  {_fate(row)} {_name(row)} {_reason(row)}".rstrip() for row in rows]
        asked = "Delete the stack, keep every table and user pool, "
        asked += "and take them into the next stack of this name?"
        return "\n".join([head, *lines, asked])

    def _delete(self, keeps: list[str]) -> None:
        """Delete the stack, but not its resources ``keeps``.

        The template already retains them. If AWS nevertheless fails to delete one of them, the
        stack is deleted again with that resource named in RetainResources. Raises RemovalError if
        any other resource cannot be deleted.
        """
        stack_id = self.found["StackId"]
        retained = {}
        if keeps and self.found["StackStatus"] == RETAINABLE:
            retained = {"RetainResources": keeps}
        self.client.delete_stack(StackName=stack_id, **retained)
        try:
            wait(self.client, "stack_delete_complete", f"deleting {self.stack}", StackName=stack_id)
        except WaiterError as error:
            rows = uninstall.resources(self.client, stack_id)
            blocking = [row for row in rows if row["ResourceStatus"] == RETAINABLE]
            names = [row["LogicalResourceId"] for row in blocking]
            if retained or not names or not set(names) <= set(keeps):
                raise RemovalError(_explain(self.stack, blocking, error)) from error
            self.client.delete_stack(StackName=stack_id, RetainResources=names)
            wait(self.client, "stack_delete_complete", f"deleting {self.stack}", StackName=stack_id)


def _fate(row: Mapping[str, Any]) -> str:
    return "kept:   " if row["ResourceType"] in uninstall.KEPT else "deleted:"


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['LogicalResourceId']} ({row.get('PhysicalResourceId', '')})"


def _reason(row: Mapping[str, Any]) -> str:
    return str(row.get("ResourceStatusReason", ""))


def _explain(stack: str, rows: Sequence[Mapping[str, Any]], error: Exception) -> str:
    lines = [f"  {_name(row)} {_reason(row)}" for row in rows] or [f"  {error}"]
    head = f"AWS could not delete {stack}. In the way:"
    return "\n".join([head, *lines, "Remove the cause, then run the same command again"])
