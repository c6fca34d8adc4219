"""The welcome: free units for a new customer, once for ever, and a limited number of times a day.

Both limits are conditions of the transaction that gives the units, so that no race passes them.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from billing.books import Books
from billing.clock import day, epoch, epoch_after
from billing.errors import BillingError, ConditionFailedError
from billing.grants.booking import book
from billing.grants.grant import WELCOME, Grant, GrantError, welcome_row
from billing.payments.plan import Welcome
from billing.storage.writes import Write, absent_or

COUNTER_KEPT_SECONDS: Final = 30 * 24 * 3600
"""How long a day's counter stays, for operators who ask how many came."""
REASON: Final = "the welcome of the catalogue"


class Given(NamedTuple):
    """The answer, and whether this call gave the units."""

    answer: dict[str, Any]
    is_new: bool


def claim(
    books: Books,
    user_id: str,
    welcome: Welcome | None,
    claims: Mapping[str, Any],
) -> Given:
    """Give a new customer the catalogue's free units. A repeat gets the first answer.

    Raises ``not_found``, ``email_not_verified`` or ``welcome_closed_today``.
    """
    if welcome is None:
        raise BillingError("not_found", "there are no free units here")
    if answer := _find(books, user_id):
        return Given(answer, is_new=False)
    if welcome.needs_verified_email and not _is_verified(claims):
        detail = "verify your e-mail address first, then sign in again"
        raise BillingError("email_not_verified", detail)
    grant, counted = _grant(books, user_id, welcome), _count(books, welcome)
    try:
        booked = book(books, grant, (counted,))
    except (ConditionFailedError, GrantError) as refused:
        # a concurrent request of the same customer, or the last one of the day
        if answer := _find(books, user_id):
            return Given(answer, is_new=False)
        if isinstance(refused, GrantError):
            raise
        detail = "all free units of today are given; ask again tomorrow"
        raise BillingError("welcome_closed_today", detail) from refused
    # "already": a concurrent request of the same customer was told so first
    is_new = booked["status"] == "granted"
    return Given(_find(books, user_id), is_new=is_new)


def _find(books: Books, user_id: str) -> dict[str, Any]:
    """Return the answer that a customer got, or {}."""
    kept = books.store.get("quotas", welcome_row(user_id)) or {}
    answer: dict[str, Any] = kept.get("answer", {})
    return answer


def _grant(books: Books, user_id: str, welcome: Welcome) -> Grant:
    expires_at = 0
    if welcome.expires_after_days:
        life = timedelta(days=welcome.expires_after_days)
        expires_at = epoch_after(books.clock() + life)
    return Grant(WELCOME, user_id, welcome.units, REASON, expires_at, WELCOME)


def _count(books: Books, welcome: Welcome) -> Write:
    """Return the write that counts one more for today. Refused once the day is full."""
    now = books.clock()
    return Write(
        "quotas",
        (f"welcome#{day(now)}", "given"),
        set={"ttl": epoch(now) + COUNTER_KEPT_SECONDS},
        add={"given": 1},
        must=(absent_or("given", "<", welcome.daily_max),),
    )


def _is_verified(claims: Mapping[str, Any]) -> bool:
    """Whether the token says that the customer's e-mail address was verified.

    API Gateway hands claims over as texts.
    https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
    """
    return claims.get("email_verified") in (True, "true")
