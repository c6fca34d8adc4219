"""Defines how a command fails: an exit code for scripts, and a sentence for the operator."""

from typing import Final

from billing.ids import USER_ID_CHARS_MAX

FINE: Final = 0
FOUND_SOMETHING: Final = 1
"""The exit code of a command that ran, and found a fault."""
USAGE: Final = 2
"""The exit code for a wrong command line, as Typer's own."""
UNREACHABLE: Final = 3
"""The exit code if AWS or Stripe did not answer, or refused the request."""


class OperatorError(Exception):
    """A failure of a command. ``code`` is its exit code.

    ``repair`` says what the operator can do.
    """

    def __init__(self, code: int, message: str, repair: str = "") -> None:
        """``code`` is the exit code. ``message`` and ``repair`` are sentences for the operator."""
        super().__init__(message)
        self.code = code
        self.repair = repair


def not_found(what: str, repair: str = "") -> OperatorError:
    """Return the error for an object that does not exist, with the exit code 1.

    ``what`` says what is missing, and ``repair`` what the operator can do.
    """
    return OperatorError(FOUND_SOMETHING, what, repair)


def usage(message: str, repair: str = "") -> OperatorError:
    """Return the error for a wrong command line, with the exit code 2.

    ``message`` says what is wrong, and ``repair`` what the operator can do.
    """
    return OperatorError(USAGE, message, repair)


def check_user(user_id: str) -> None:
    """Raise OperatorError for an invalid user id. DynamoDB's own error would not name the cause."""
    if not 0 < len(user_id) <= USER_ID_CHARS_MAX:
        repair = f"give the token's sub, 1 to {USER_ID_CHARS_MAX} characters"
        raise usage(f"{user_id[:40]!r} is not a user id", repair)


def unreachable(message: str, repair: str = "") -> OperatorError:
    """Return the error for a service, AWS or Stripe, that does not answer."""
    return OperatorError(UNREACHABLE, message, repair)
