"""Every way a call of the service can end but well.

What each says about the units is the first line of its docstring.
"""

from datetime import datetime
from typing import Final


class TopupError(Exception):
    """Base of them all: the call that was to be paid for must not be served."""


class QuotaExhausted(TopupError):
    """Nothing was taken: the customer has fewer units than were asked for."""

    def __init__(self, remaining: int, top_up_url: str) -> None:
        """``remaining`` units are left, and ``top_up_url`` is where the customer buys more."""
        super().__init__(
            f"the quota is exhausted: {remaining} units remain; more are sold at {top_up_url}"
        )
        self.remaining: Final = remaining
        self.top_up_url: Final = top_up_url


class KeyLimitReached(TopupError):
    """Nothing was taken: the customer's API key has less left of its limit than was asked for."""

    def __init__(self, limit_remaining: int, resets_at: datetime | None) -> None:
        """``limit_remaining`` units are left of the limit until ``resets_at``, None for never."""
        when = "never" if resets_at is None else f"at {resets_at.isoformat()}"
        super().__init__(
            f"the limit of this key is reached: {limit_remaining} units remain; it resets {when}"
        )
        self.limit_remaining: Final = limit_remaining
        self.resets_at: Final = resets_at


class OutcomeUnknown(TopupError):
    """The units may have been taken or not: the answer was lost, or the service does not know."""


class Unavailable(TopupError):
    """Nothing was taken. Try again later.

    The service was not reached, was too busy (429, or 503 `busy`), or could not be asked.
    """


class Refused(TopupError):
    """Nothing was taken: the service understood the call and says no.

    Repeating it unchanged does not help.
    """

    def __init__(self, status: int, code: str, detail: str) -> None:
        """``code`` is stable, or "" where API Gateway refused by itself. ``detail`` is advice."""
        super().__init__(f"{status} {code or 'refused'}: {detail}")
        self.status: Final = status
        self.code: Final = code
        self.detail: Final = detail


class HoldClosed(Refused):
    """The hold was captured, released or has expired. Its units are no longer set aside."""


class InvalidKey(Refused):
    """The ``key_id`` is not a live API key of this customer: revoked, another's, or none."""


class LeaseClosed(TopupError):
    """Nothing was taken: this lease was closed and serves no more."""
