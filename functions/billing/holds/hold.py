"""Defines a hold: units set aside for a limited time, and the id that finds its row.

The hold's id contains the user's id, so a hold is found without an index.
"""

import base64
import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from billing.answers import Count, LimitLeft, Member, Remaining, Time
from billing.errors import (
    BillingError,
)
from billing.ids import USER_ID_CHARS_MAX

ID_CHARS_MAX: Final = 1_500
"""The longest hold id: for a user id of 255 letters with four bytes each."""
_ID: Final = re.compile(
    rf"([0-9]{{12}})\.([0-9a-f]{{16}})\.(.{{1,{USER_ID_CHARS_MAX}}})", re.DOTALL
)
Ended = Literal["captured", "released"]
"""How a caller ends a hold."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Units set aside until ``expires_at``. After that time they count as released."""

    hold_id: str
    units: Count
    remaining: Remaining
    expires_at: Time
    limit_remaining: LimitLeft | None = None


@dataclass(frozen=True, slots=True)
class ClosedHold:
    """The answer for a hold (units set aside) that the caller has ended.

    ``units`` were captured, that is used, and ``released`` were given back.
    """

    hold_id: str
    status: Ended
    units: Annotated[Count, Member(description="captured")]
    released: Annotated[Count, Member(description="given back")]


@dataclass(frozen=True, slots=True)
class HoldId:
    """A hold's id, from which the key of its row is computed.

    It is ``hold_`` and the base64url form of ``expiry.random.user``.
    """

    user_id: str
    expires_at: int
    random: str

    def __str__(self) -> str:
        """Return the id as callers see it, without dots or padding."""
        plain = f"{self.expires_at:012d}.{self.random}.{self.user_id}"
        return "hold_" + base64.urlsafe_b64encode(
            plain.encode()
        ).decode().rstrip("=")

    @property
    def open_row(self) -> tuple[str, str]:
        """Return the table key of an open hold's row.

        These keys sort by the hold's expiry.
        """
        return (self.user_id, f"hold#{self.expires_at:012d}#{self.random}")

    @property
    def closed_row(self) -> tuple[str, str]:
        """Return the table key of the hold's row after the hold is closed."""
        return (self.user_id, f"closed#{self.expires_at:012d}#{self.random}")

    @classmethod
    def parse(cls, text: str) -> "HoldId":
        """Return the parts of a hold's id.

        Raises ``not_found`` for a text that is not one of our ids.
        """
        try:
            body = text.removeprefix("hold_").encode("ascii")
            padded = body + b"=" * (-len(body) % 4)
            plain = base64.b64decode(
                padded, altchars=b"-_", validate=True
            ).decode()
        except ValueError as error:
            raise not_found() from error
        if found := _ID.fullmatch(plain):
            made = cls(found[3], int(found[1]), found[2])
            if str(made) == text:
                return made
        raise not_found()


def not_found() -> BillingError:
    """Return the error for an id with which no hold is found."""
    return BillingError("not_found", "there is no such hold")
