"""Finds automatic charges that Stripe made but our tables have lost.

A restore puts the tables back to a time before a charge was opened. Then the
account is low again, although Stripe has charged it already. So this runs
before another charge is made.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from billing.books import Books
from billing.clock import epoch
from billing.errors import BillingError, NotDoneError
from billing.reconciliation.compare import look_at_purchase
from billing.reconciliation.comparison import Comparison
from billing.reconciliation.report import Report
from billing.storage.keys import user_key
from billing.stripe_api.claims import Ignored, claims_in
from billing.stripe_api.client import Gateway
from billing.stripe_api.intents import is_automatic
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError

LOOKED_BACK_SECONDS: Final = 35 * 24 * 3600
"""How far to look back. Tables can be restored to any second of the last 35
days:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Point-in-time-recovery.html
"""
MONEY: Final = ("succeeded", "processing")


class Charges(Protocol):
    """The part of the Stripe client that this module uses.

    billing.stripe_api.cards.SavedCards implements it.
    """

    def intents_of(
        self, customer: str, since: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield a customer's payment intents created since an epoch second."""


def find_lost(
    books: Books,
    gateway: Gateway,
    charges: Charges,
    user_id: str,
    customer: str,
) -> bool:
    """Credit the customer's automatic charges that our tables do not have.

    ``customer`` is the user's customer object at Stripe. Returns whether
    any was credited, so that the account must be read again. Raises
    NotDoneError if one is still processing or cannot be credited, or if
    Stripe cannot be asked: then no other charge may be made.
    """
    by, report = Comparison(books, gateway, repair=True), Report()
    since = epoch(books.clock()) - LOOKED_BACK_SECONDS
    try:
        intents = list(charges.intents_of(customer, since))
    except StripeNotFoundError:
        return False
    except (StripeServerError, BillingError) as error:
        raise NotDoneError("Stripe was not asked for lost charges") from error
    for intent in intents:
        if not _is_lost(books, intent, user_id):
            continue
        if intent["status"] == "processing":
            raise NotDoneError(
                f"{intent['id']} is under way, and not in the books"
            )
        before = report.repaired
        look_at_purchase(by, intent, report)
        if report.repaired == before:
            raise NotDoneError(
                f"{intent['id']} was charged, and cannot be settled"
            )
    return bool(report.repaired)


def _is_lost(books: Books, intent: Mapping[str, Any], user_id: str) -> bool:
    claims = claims_in(intent, books.ours)
    if isinstance(claims, Ignored) or not is_automatic(intent):
        return False
    if claims["user_id"] != user_id or intent.get("status") not in MONEY:
        return False
    key = (user_key(user_id), claims["payment_id"])
    return books.store.get("payments", key) is None
