"""Gives a new customer free units, once, and to a limited number a day.

Both limits are conditions of the transaction that gives the units, so no race
can exceed them.
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
"""How long the count of a day is kept, for operators who ask how many
customers came.
"""
REASON: Final = "the welcome of the catalogue"


class Given(NamedTuple):
    """The answer to a customer who asks for welcome units.

    It also says whether this call gave the units, or repeated the answer.
    """

    answer: dict[str, Any]
    is_new: bool


def claim(
    books: Books,
    user_id: str,
    welcome: Welcome | None,
    claims: Mapping[str, Any],
) -> Given:
    """Give a new customer the welcome units of plans.json.

    A repeat gets the first answer again. ``claims`` are those of the
    customer's token. Raises ``not_found`` if no welcome units are offered,
    ``email_not_verified``, or ``welcome_closed_today`` if the day's limit
    is reached.
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
    """Return the response that a user got to the request for welcome units.

    These are free units for new customers, given once. A repeated request
    gets the same response. Returns {} if the user has none yet.
    """
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
    """Return the write that counts one more customer who got free units today.

    These are the welcome units, given once to a new customer. DynamoDB refuses
    the write if the day's limit is reached.
    """
    now = books.clock()
    return Write(
        "quotas",
        (f"welcome#{day(now)}", "given"),
        set={"ttl": epoch(now) + COUNTER_KEPT_SECONDS},
        add={"given": 1},
        must=(absent_or("given", "<", welcome.daily_max),),
    )


def _is_verified(claims: Mapping[str, Any]) -> bool:
    """Return whether the customer's e-mail address was verified.

    ``claims`` are those of the token. API Gateway passes them as texts.
    https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
    """
    return claims.get("email_verified") in (True, "true")
