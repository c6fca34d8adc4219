"""Recovery: parked facts are tried again with growing pauses; what they are ahead of is asked of Stripe."""

from dataclasses import dataclass, replace
from typing import Final

from billing import observed, parking, settlement, upkeep
from billing.balances import Balance
from billing.books import Books
from billing.errors import BillingError, OutcomeUnknownError
from billing.events import Ignored
from billing.facts import DeclinedFact, DisputeFact, RefundsFact, SessionFact
from billing.gateway import AnsweredWithFaultError, Gateway, NotAtStripeError
from billing.parking import Parked
from billing.times import epoch

TRIES_A_RUN_MAX: Final = 200
SWEEP_PAGES_MAX: Final = 10
LISTING_TRIES: Final = 3
"""Stripe's lists may lag behind its events: a refund is nobody's only after it was asked for this often."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a run did. ``oldest_seconds``: the age of the oldest fact that is still parked."""

    settled: int
    waiting: int
    oldest_seconds: int


def run(books: Books, gateway: Gateway) -> Recovered:
    """Try every parked fact that is due, at most TRIES_A_RUN_MAX of them."""
    settled = waiting = tried = 0
    oldest = epoch(books.clock())
    for record in parking.all_parked(books):
        books.store.patience.begin()
        due = 0 < record.next_try <= epoch(books.clock()) and tried < TRIES_A_RUN_MAX
        tried += due
        if due and try_again(books, gateway, record):
            settled += 1
            continue
        waiting += 1
        oldest = min(oldest, record.parked_epoch)
    return Recovered(settled, waiting, epoch(books.clock()) - oldest)


def try_again(books: Books, gateway: Gateway, record: Parked) -> bool:
    """Whether the fact is settled now, or found to be nobody's. Whatever fails, the record stays, for later."""
    try:
        if settlement.retry(books, record).status != "parked" or _with_stripes_help(books, gateway, record):
            return True
    except (OutcomeUnknownError, AnsweredWithFaultError, NotAtStripeError, BillingError):
        pass  # not failed, not settled: postponed
    parking.postpone(books, record)
    return False


def _with_stripes_help(books: Books, gateway: Gateway, record: Parked) -> bool:
    """Find the session that a refund or dispute belongs to, and settle that first."""
    fact = record.fact
    if record.kind != "ahead" or isinstance(fact, SessionFact | DeclinedFact):
        return False
    intent = fact.payment_intent or gateway.charge(fact.charge or "").get("payment_intent")
    session = gateway.session_of_intent(intent) if isinstance(intent, str) else None
    if session is None and record.tries < LISTING_TRIES:
        return False
    found = observed.session(session, "recover", books.ours) if session else Ignored("not_ours")
    if isinstance(found, Ignored):
        if found.reason != "not_ours":
            return False
        parking.resolve(books, record)
        return True
    settlement.apply(books, found)
    return settlement.retry(books, replace(record, fact=_on(fact, intent))).status != "parked"


def _on(fact: RefundsFact | DisputeFact, intent: str | None) -> RefundsFact | DisputeFact:
    return replace(fact, payment_intent=intent)


def sweep_holds(books: Books) -> int:
    """Give back what has expired on accounts that nobody has touched since. Returns how many rows the index showed."""
    seen, after = 0, None
    for _ in range(SWEEP_PAGES_MAX):
        page = books.store.due(epoch(books.clock()), after)
        seen += len(page.items)
        for user_id in sorted({item["user_id"] for item in page.items}):
            books.store.patience.begin()
            balance = Balance.from_item(books.store.get("quotas", (user_id, "quota")))
            if upkeep.holds_are_due(balance, epoch(books.clock())):
                upkeep.give_back_expired(books, user_id, balance)
        if (after := page.after) is None:
            break
    return seen
