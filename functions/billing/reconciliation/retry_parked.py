"""Retries parked events with growing pauses, and asks Stripe for the payment that one lacks.

It also sweeps expired holds, which releases their units.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from billing.account import lot_reminders
from billing.books import Books
from billing.clock import epoch
from billing.errors import AwsRefusedError, BillingError, Item, RetryableError
from billing.expiry import upkeep
from billing.facts import DeclinedFact, DisputeFact, RefundsFact, SessionFact
from billing.parked import dropping, parking, records, retries
from billing.parked.records import Parked
from billing.payments import references
from billing.payments.payment import Phase
from billing.settlement import settlement
from billing.storage.keys import user_key
from billing.stripe_api import intents, objects
from billing.stripe_api.claims import Ignored, claims_in
from billing.stripe_api.client import (
    Gateway,
    StripeNotFoundError,
    StripeServerError,
)

READ_A_RUN_MAX: Final = 10_000
"""How many parked events a run reads. Reconciliation settles what is behind more of them."""
TRIES_A_RUN_MAX: Final = 200
SWEEP_PAGES_MAX: Final = 10
Became = Literal["settled", "ignored", "dropped", ""]
"""What became of a parked event; "" while it stays parked."""

Failed = Callable[[Parked, Exception], None]
"""Called with the reason when a parked event could not be settled this time."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The result of one recovery. ``left`` counts due events that were not tried in time.

    ``oldest_seconds`` is the age of the oldest parked event, including events that wait for an
    operator.
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
    """Retry the parked events that are due, the longest overdue first.

    ``go_on`` is called before each event. The run stops when it returns False.
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
    """Settle the event, ignore it as not ours, or drop it with its purchase.

    If anything fails, the record stays for a later run. The record is postponed first, so that an
    event that kills the process comes last in the next run.
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
    """Ask Stripe which purchase a reversal belongs to, settle that, then the reversal.

    A reversal that belongs to no purchase of ours is resolved.
    """
    fact = record.fact
    if record.kind != "ahead" or isinstance(fact, SessionFact | DeclinedFact):
        return ""
    intent = _intent_of(gateway, fact)
    paid_by = gateway.payment_intent(intent) if intent else {}
    owner = _owner_of(books, paid_by)
    if isinstance(owner, Ignored):
        retries.resolve(books, record)
        return "ignored"
    purchase = _purchase_of(gateway, owner, paid_by)
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
    """Settle a purchase, then its reversal. Drop the reversal if the purchase was dropped."""
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


def _intent_of(gateway: Gateway, fact: RefundsFact | DisputeFact) -> str:
    """Return the payment intent's id, "" where there is none.

    Checkout in payment mode always has one.
    """
    if fact.payment_intent or not fact.charge:
        return fact.payment_intent or ""
    return str(gateway.charge(fact.charge).get("payment_intent") or "")


def _owner_of(books: Books, intent: Mapping[str, Any]) -> Item | Ignored:
    """Return the stored payment that an intent's metadata names, {} if it is ours and lost.

    Ignored where the intent is not ours. Its metadata says so at once and for good.
    """
    claims = claims_in(intent, books.ours)
    if isinstance(claims, Ignored):
        return claims
    stored = books.store.get(
        "payments", (user_key(claims["user_id"]), claims["payment_id"])
    )
    if stored is None and claims["needs_record"]:
        return Ignored("not_ours")
    return stored or {}


def _purchase_of(
    gateway: Gateway, stored: Item, paid_by: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """The purchase that an intent paid: an automatic charge is its intent, others are sessions.

    A session is found by our record's session id, else by Stripe's list. Stripe answers by id at
    once. The record may be lost, or name another session.
    """
    if intents.is_automatic(paid_by):
        return paid_by
    intent = str(paid_by["id"])
    if stored.get("session_id"):
        with suppress(StripeNotFoundError):
            session = gateway.session(stored["session_id"])
            if objects.intent_of(session) == intent:
                return session
    return gateway.session_of_intent(intent)


def sweep_holds(books: Books, go_on: Callable[[], bool] = lambda: True) -> int:
    """Release expired holds, and let go of expired lots, on accounts without requests.

    Tells of lots that will expire soon, too. Returns the number of index rows that it read.
    ``go_on`` is called before each account, and the sweep stops when it returns False. The next
    sweep finds the rest.
    """
    seen, after = 0, None
    for mark, ahead in lot_reminders.marks(books):
        for _ in range(SWEEP_PAGES_MAX):
            books.store.deadline.begin()
            page = books.store.due(epoch(books.clock()) + ahead, after, mark)
            users = Counter(item["user_id"] for item in page.items)
            for user_id, rows in sorted(users.items()):
                if not go_on():
                    return seen
                seen += rows
                books.store.deadline.begin()
                with suppress(
                    RetryableError
                ):  # one account's trouble must not stop the others
                    _bring_up_to_date(books, user_id, ahead)
            if (after := page.after) is None:
                break
    return seen


def _bring_up_to_date(books: Books, user_id: str, ahead: int) -> None:
    upkeep.bring_up_to_date(books, user_id)
    if ahead:
        lot_reminders.tell_of_expiry(books, user_id)
