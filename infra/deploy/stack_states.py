"""Decides what ``make deploy`` and ``make uninstall`` do with a stack in each state.

"Stack status codes":
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-describing-stacks.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Kind(Enum):
    """What ``make deploy`` and ``make uninstall`` can do with a stack."""

    ABSENT = "there is no stack: deploy makes one, uninstall has nothing to do"
    ALIVE = "a working stack: deploy updates it, uninstall keeps its books and deletes the rest"
    REMNANT = (
        "what a failed creation or deletion left: "
        "deploy asks, keeps the tables and users, and deletes the rest"
    )
    STUCK = (
        "a stack with books that cannot be updated now: "
        "deploy says how to free it, uninstall works as for a working stack"
    )
    BUSY = "CloudFormation is working on it: both stop and say so"


@dataclass(frozen=True, slots=True)
class State:
    """What ``make deploy`` and ``make uninstall`` can do with a stack in one state.

    ``advice`` tells the operator what to do if they cannot continue. ``{stack}`` in it stands for
    the stack's name.
    """

    kind: Kind
    advice: str = ""


ROLL_BACK: Final = "aws cloudformation rollback-stack --stack-name {stack}"
"""The command that frees a stack in CREATE_FAILED or UPDATE_FAILED:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackStack.html
"""
CONTINUE: Final = "aws cloudformation continue-update-rollback --stack-name {stack}"
"""The command that frees a stack in UPDATE_ROLLBACK_FAILED:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ContinueUpdateRollback.html
"""
EVENTS: Final = "aws cloudformation describe-stack-events --stack-name {stack}"
_BUSY: Final = State(Kind.BUSY, "wait until it has finished, then run the same command again")

STATES: Final[Mapping[str, State]] = {
    # Only a change set was made. SAM makes the stack as if there were none.
    "REVIEW_IN_PROGRESS": State(Kind.ABSENT),
    "DELETE_COMPLETE": State(Kind.ABSENT),
    "CREATE_COMPLETE": State(Kind.ALIVE),
    "UPDATE_COMPLETE": State(Kind.ALIVE),
    "UPDATE_ROLLBACK_COMPLETE": State(Kind.ALIVE),
    "IMPORT_COMPLETE": State(Kind.ALIVE),
    # A stable state, says API_RollbackStack: the stack is as it was before the import. After a
    # failed first import it is empty.
    "IMPORT_ROLLBACK_COMPLETE": State(Kind.ALIVE),
    # A failed first deployment: AWS allows only its deletion.
    "ROLLBACK_COMPLETE": State(Kind.REMNANT),
    # The same, where protected tables could not be deleted.
    "ROLLBACK_FAILED": State(Kind.REMNANT),
    "DELETE_FAILED": State(Kind.REMNANT),
    "CREATE_FAILED": State(Kind.STUCK, ROLL_BACK),
    "UPDATE_FAILED": State(Kind.STUCK, ROLL_BACK),
    "UPDATE_ROLLBACK_FAILED": State(Kind.STUCK, CONTINUE),
    "IMPORT_ROLLBACK_FAILED": State(
        Kind.STUCK, f"{EVENTS} says why; remove the cause, or ask AWS Support"
    ),
    "CREATE_IN_PROGRESS": _BUSY,
    "ROLLBACK_IN_PROGRESS": _BUSY,
    "DELETE_IN_PROGRESS": _BUSY,
    "UPDATE_IN_PROGRESS": _BUSY,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": _BUSY,
    "UPDATE_ROLLBACK_IN_PROGRESS": _BUSY,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": _BUSY,
    "IMPORT_IN_PROGRESS": _BUSY,
    "IMPORT_ROLLBACK_IN_PROGRESS": _BUSY,
}
MAY_BE_EMPTY: Final = "IMPORT_ROLLBACK_COMPLETE"
"""The one working state in which a stack may be empty."""
UNKNOWN: Final = State(Kind.STUCK, f"this release does not know that state; see `{EVENTS}`")


def state_of(status: str) -> State:
    """Return the state for CloudFormation's status.

    An unknown status is STUCK, so that the stack is not changed.
    """
    return STATES.get(status, UNKNOWN)
