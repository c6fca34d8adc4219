"""Recovery: parked facts are tried again with growing pauses; what they are ahead of is asked of Stripe."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from billing.books import Books
from billing.clock import epoch
from billing.errors import AwsRefusedError, BillingError, Item, RetryableError
from billing.facts import DeclinedFact, DisputeFact, RefundsFact, SessionFact
from billing.payments import parking, settlement
from billing.payments.parking import Parked
from billing.payments.payment import Phase
from billing.quota import hold_expiry
from billing.quota.balance import Balance
from billing.storage.keys import user_key
from billing.stripe_api import objects
from billing.stripe_api.client import Gateway, StripeNotFoundError, StripeServerError
from billing.stripe_api.events import Ignored, claims_in

READ_A_RUN_MAX: Final = 10_000
"""Parked facts that a run looks at.

Were there more, reconciliation would settle what is behind them.
"""
TRIES_A_RUN_MAX: Final = 200
SWEEP_PAGES_MAX: Final = 10
Became = Literal["settled", "ignored", "dropped", ""]
"""What became of a parked fact; "" while it stays parked."""

Failed = Callable[[Parked, Exception], None]
"""Is told why a parked fact could not be settled this time."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a run did. ``left``: due, and not tried for want of time.

    ``oldest_seconds``: the age of the oldest fact that is still parked, those that wait for a
    person among them.
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
    """Try the parked facts that are due, those that are due for longest first.

    ``go_on`` is asked before each.
    """
    parked = _parked(books, go_on)
    due = sorted(
        (record for record in parked if 0 < record.next_try <= epoch(books.clock())),
        key=lambda record: record.next_try,
    )
    tried, settled = 0, set()
    for record in due[:TRIES_A_RUN_MAX]:
        if not go_on():
            break
        tried += 1
        books.store.deadline.begin()
        if try_again(books, gateway, record, failed):
            settled.add(record.name)
    waiting = [record.parked_epoch for record in parked if record.name not in settled]
    now = epoch(books.clock())
    return Recovered(len(settled), len(waiting), len(due) - tried, now - min(waiting, default=now))


def _parked(books: Books, go_on: Callable[[], bool]) -> list[Parked]:
    found = []
    books.store.deadline.begin()
    for record in parking.all_parked(books):
        books.store.deadline.begin()  # for the next page
        found.append(record)
        if len(found) == READ_A_RUN_MAX or not go_on():
            break
    return found


def try_again(
    books: Books, gateway: Gateway, record: Parked, failed: Failed = lambda *_: None
) -> Became:
    """Settle the fact, find that it is not ours, or drop it with its purchase.

    Whatever fails, the record stays, for later.

    It is postponed before it is tried: even one that our process dies of is behind all the others
    next time.
    """
    try:
        if not parking.postpone(books, record):
            return ""  # somebody else has it in hand, has settled it, or dropped it
        return _retried(books, record) or _with_stripes_help(books, gateway, record)
    except (
        RetryableError,
        AwsRefusedError,
        StripeServerError,
        StripeNotFoundError,
        BillingError,
    ) as error:
        failed(record, error)
        return ""  # not failed, not settled; and the others have their turn


def _retried(books: Books, record: Parked) -> Became:
    status = settlement.retry(books, record).status
    if status == "parked":
        return ""
    return "ignored" if status == "ignored" else "settled"


def _with_stripes_help(books: Books, gateway: Gateway, record: Parked) -> Became:
    """Ask Stripe whose a refund or dispute is.

    Resolve what is not ours; settle the session of what is, then the fact.

    The payment intent's metadata tells, at once and for good. A list that has no session yet tells
    nothing: it may only lag.
    """
    fact = record.fact
    if record.kind != "ahead" or isinstance(fact, SessionFact | DeclinedFact):
        return ""
    intent = _intent_of(gateway, fact)
    claims = (
        claims_in(gateway.payment_intent(intent), books.ours) if intent else Ignored("not_ours")
    )
    kept = None if isinstance(claims, Ignored) else _record_of(books, claims)
    if isinstance(claims, Ignored) or (kept is None and claims["needs_record"]):
        parking.resolve(books, record)
        return "ignored"
    return _after_its_session(
        books,
        replace(record, fact=replace(fact, payment_intent=intent)),
        _session_of(gateway, kept, intent),
    )


def _after_its_session(books: Books, record: Parked, session: Mapping[str, Any] | None) -> Became:
    """Settle the session first. ``record``: its fact names the payment intent."""
    intent = str(getattr(record.fact, "payment_intent", ""))
    found = objects.session(session, "recover", books.ours) if session else Ignored("still_open")
    if isinstance(found, Ignored):
        return ""  # still open, not listed yet, or not to be read
    outcome = settlement.apply(books, found)
    if outcome.status == "parked" and parking.is_dropped(books, found):
        gone = parking.drop_with_purchase(books, record, found.session_id, intent)
        return "dropped" if gone else ""
    settled = outcome.payment
    if settled and settled.phase is Phase.PAID and settled.payment_intent == intent:
        settlement.refer(books, settled)  # a restore may have lost the row that leads there
    return _retried(books, record)


def _intent_of(gateway: Gateway, fact: RefundsFact | DisputeFact) -> str:
    """The payment intent's id, "" for a payment that has none: such a payment is not of Checkout's making."""
    if fact.payment_intent or not fact.charge:
        return fact.payment_intent or ""
    return str(gateway.charge(fact.charge).get("payment_intent") or "")


def _record_of(books: Books, claims: Mapping[str, Any]) -> Item | None:
    return books.store.get("payments", (user_key(claims["user_id"]), claims["payment_id"]))


def _session_of(gateway: Gateway, kept: Item | None, intent: str) -> Mapping[str, Any] | None:
    """By the id that our record has, which Stripe answers at once; by the list where the record is lost or names another."""
    if kept and kept.get("session_id"):
        with suppress(StripeNotFoundError):
            session = gateway.session(kept["session_id"])
            if objects.intent_of(session) == intent:
                return session
    return gateway.session_of_intent(intent)


def sweep_holds(books: Books, go_on: Callable[[], bool] = lambda: True) -> int:
    """Give back what has expired on accounts that nobody has touched since.

    Returns how many rows of the index it came to.

    ``go_on`` is asked before each account; the next sweep finds what is left.
    """
    seen, after = 0, None
    for _ in range(SWEEP_PAGES_MAX):
        books.store.deadline.begin()
        page = books.store.due(epoch(books.clock()), after)
        for user_id, rows in sorted(Counter(item["user_id"] for item in page.items).items()):
            if not go_on():
                return seen
            seen += rows
            books.store.deadline.begin()
            with suppress(RetryableError):  # the next account may have more luck
                _give_back(books, user_id)
        if (after := page.after) is None:
            break
    return seen


def _give_back(books: Books, user_id: str) -> None:
    balance = Balance.from_item(books.store.get("quotas", (user_id, "quota")))
    if hold_expiry.holds_are_due(balance, epoch(books.clock())):
        hold_expiry.give_back_expired(books, user_id, balance)
