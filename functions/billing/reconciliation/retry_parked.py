"""Retries parked events, the ones that could not be settled at first.

The pauses between retries grow. If the payment of an event is missing, Stripe
is asked for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal

from billing.books import Books
from billing.clock import epoch
from billing.errors import AwsRefusedError, BillingError, RetryableError
from billing.facts import DeclinedFact, SessionFact
from billing.parked import dropping, parking, records, retries
from billing.parked.records import Parked
from billing.payments import references
from billing.payments.payment import Phase
from billing.reconciliation.paid_by import intent_of, owner_of, purchase_of
from billing.settlement import settlement
from billing.stripe_api import objects
from billing.stripe_api.claims import Ignored
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError

READ_A_RUN_MAX: Final = 10_000
"""How many parked events one run reads. If there are more, reconciliation
settles them.
"""
TRIES_A_RUN_MAX: Final = 200
Became = Literal["settled", "ignored", "dropped", ""]
"""What happened to a parked event. "" means that it stays parked."""
Failed = Callable[[Parked, Exception], None]
"""Called with a parked event and the error, if it could not be settled this
time.
"""


@dataclass(frozen=True, slots=True)
class Recovered:
    """Counts what one scheduled run did with the parked events.

    These are events from Stripe that could not be booked when they came.
    ``settled`` counts those booked, ignored or dropped in this run, and
    ``waiting`` those that are still parked. ``left`` counts the events whose
    next retry was due, but for which there was no time. ``oldest_seconds`` is
    the age of the oldest event that is still parked, including those that need
    an operator.
    """

    settled: int
    waiting: int
    left: int
    oldest_seconds: int


def run(
    books: Books,
    gateway: Gateway,
    go_on: Callable[[], bool] = lambda: True,
    failed: Failed = lambda *_: None,
) -> Recovered:
    """Retry the parked events that are due, and return how many were settled.

    Parked are Stripe events that were kept because they could not be settled.
    The longest overdue come first. The result also counts the events that are
    still parked. ``go_on`` is called before each event. The run stops when it
    returns False. ``failed`` is called for each event whose retry raised an
    error.
    """
    parked = _read_parked(books, go_on)
    started = epoch(books.clock())
    due = [record for record in parked if 0 < record.next_try <= started]
    due.sort(key=lambda record: record.next_try)
    tried, settled = 0, set()
    for record in due[:TRIES_A_RUN_MAX]:
        if not go_on():
            break
        tried += 1
        books.store.deadline.begin()
        if try_again(books, gateway, record, failed):
            settled.add(record.name)
    waiting = [
        record.parked_epoch for record in parked if record.name not in settled
    ]
    now = epoch(books.clock())
    oldest = min(waiting, default=now)
    return Recovered(len(settled), len(waiting), len(due) - tried, now - oldest)


def _read_parked(books: Books, go_on: Callable[[], bool]) -> list[Parked]:
    found = []
    books.store.deadline.begin()
    for record in records.all_parked(books):
        books.store.deadline.begin()  # for the next page
        found.append(record)
        if len(found) == READ_A_RUN_MAX or not go_on():
            break
    return found


def try_again(
    books: Books,
    gateway: Gateway,
    record: Parked,
    failed: Failed = lambda *_: None,
) -> Became:
    """Retry a parked event, and return what happened to it.

    A parked event is one from Stripe that could not be booked when it came.
    Returns ``settled`` if it is booked now; ``ignored`` if it is not ours;
    ``dropped`` if it is a refund or dispute of a purchase that an operator
    dropped; or "" if it stays parked, or a concurrent request has changed it.
    Its next retry is postponed first, so that an event that crashes the
    process comes last in the next run.
    """
    try:
        if not retries.postpone(books, record):
            return ""  # a concurrent request has taken, settled or dropped it
        return _retry(books, record) or _settle_purchase_first(
            books, gateway, record
        )
    except (
        RetryableError,
        AwsRefusedError,
        StripeServerError,
        StripeNotFoundError,
        BillingError,
    ) as error:
        failed(record, error)
        return ""


def _retry(books: Books, record: Parked) -> Became:
    status = settlement.retry(books, record).status
    if status == "parked":
        return ""
    return "ignored" if status == "ignored" else "settled"


def _settle_purchase_first(
    books: Books, gateway: Gateway, record: Parked
) -> Became:
    """Settle the purchase of a refund or dispute, then the event itself.

    Stripe is asked which purchase it belongs to. Returns what happened to
    the parked event: ``settled``, ``ignored`` if the purchase is not ours,
    ``dropped`` if an operator dropped the purchase, or "" if the event stays
    parked: no purchase can be settled yet, or it waits for something else.
    """
    fact = record.fact
    if record.kind != "ahead" or isinstance(fact, SessionFact | DeclinedFact):
        return ""
    intent = intent_of(gateway, fact)
    paid_by = gateway.payment_intent(intent) if intent else {}
    owner = owner_of(books, paid_by)
    if isinstance(owner, Ignored):
        retries.resolve(books, record)
        return "ignored"
    purchase = purchase_of(gateway, owner, paid_by)
    found = (
        objects.purchase(purchase, "recover", books.ours) if purchase else None
    )
    if not isinstance(found, SessionFact):
        return ""  # still open, not readable, or not listed yet: Stripe's lists may lag
    known = replace(record, fact=replace(fact, payment_intent=intent))
    return _settle_both(books, known, found, intent)


def _settle_both(
    books: Books, record: Parked, purchase: SessionFact, intent: str
) -> Became:
    """Settle a purchase, then its parked refund or dispute.

    To settle an event of Stripe's is to book what it says. ``record`` is that
    of the refund or dispute, which was stored (parked) to be retried.
    ``intent`` is the purchase's payment intent. If an operator has dropped the
    purchase, the refund or dispute is dropped too. Returns what happened to
    the refund or dispute, or "" if it stays parked.
    """
    outcome = settlement.apply(books, purchase)
    if outcome.status == "parked" and parking.is_dropped(books, purchase):
        dropped = dropping.drop_with_purchase(
            books, record, purchase.funding_id, intent
        )
        return "dropped" if dropped else ""
    payment = outcome.payment
    if (
        payment
        and payment.phase is Phase.PAID
        and payment.payment_intent == intent
    ):
        # a restore may have lost the row that leads there
        references.write_again(books, payment)
    return _retry(books, record)
