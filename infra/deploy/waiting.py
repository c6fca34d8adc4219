"""Waits for CloudFormation with a deadline, and prints a line every minute."""

from typing import Any, Final

from botocore.exceptions import WaiterError

PAUSE_SECONDS: Final = 2
ASKED_A_MINUTE: Final = 30
MINUTES_MAX: Final = 60
"""The longest wait. It is longer than any deletion or import of these stacks should take.

AWS continues after that time, and running the same command again checks the result.
"""
TIMED_OUT: Final = "Max attempts exceeded"
"""Botocore's reason when a waiter has used up its attempts. Any other reason is AWS's answer."""


def wait(client: Any, waiter: str, doing: str, **asked: Any) -> None:
    """Wait for CloudFormation, for an hour at most.

    ``waiter`` is a waiter of boto3, ``asked`` are its arguments, and ``doing`` is the text of the
    progress line. Raises WaiterError when AWS reports a failure, or when the hour is over.
    """
    bound = {"Delay": PAUSE_SECONDS, "MaxAttempts": ASKED_A_MINUTE}
    for minute in range(1, MINUTES_MAX + 1):
        try:
            client.get_waiter(waiter).wait(**asked, WaiterConfig=bound)
        except WaiterError as error:
            if TIMED_OUT not in str(error) or minute == MINUTES_MAX:
                raise
            print(f"  {doing}: {minute} min", flush=True)  # noqa: T201
        else:
            return
