"""How a command ends: exit codes that scripts can rely on, and a sentence that says what to do."""

from typing import Final

from billing.ids import USER_ID_CHARS_MAX

FINE: Final = 0
FOUND_SOMETHING: Final = 1
"""The command ran, and what it looked at is not as it should be."""
USAGE: Final = 2
"""The command line itself; Typer uses the same."""
UNREACHABLE: Final = 3
"""AWS or Stripe did not answer, or refused: nothing is known."""


class OperatorError(Exception):
    """``code`` is the exit code; ``mend`` says what to do."""

    def __init__(self, code: int, message: str, mend: str = "") -> None:
        """Both are sentences for a person."""
        super().__init__(message)
        self.code = code
        self.mend = mend


def not_found(what: str, mend: str = "") -> OperatorError:
    """The thing that the command is about is not there."""
    return OperatorError(FOUND_SOMETHING, what, mend)


def usage(message: str, mend: str = "") -> OperatorError:
    """The command was called in a way that makes no sense."""
    return OperatorError(USAGE, message, mend)


def check_user(user_id: str) -> None:
    """Raise for what is no user id: DynamoDB would refuse it, in words about something else."""
    if not 0 < len(user_id) <= USER_ID_CHARS_MAX:
        raise usage(
            f"{user_id[:40]!r} is no user id",
            f"give the token's sub, 1 to {USER_ID_CHARS_MAX} characters",
        )


def unreachable(message: str, mend: str = "") -> OperatorError:
    """The outside did not answer."""
    return OperatorError(UNREACHABLE, message, mend)
