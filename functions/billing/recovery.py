"""Recovery: parked facts are tried again with growing pauses; what they are ahead of is asked of Stripe."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from billing import observed, parking, settlement, upkeep
from billing.balances import Balance
from billing.books import Books
from billing.errors import BillingError, OutcomeUnknownError, ServiceFaultError
from billing.events import Ignored
from billing.facts import DeclinedFact, DisputeFact, RefundsFact, SessionFact
from billing.gateway import AnsweredWithFaultError, Gateway, NotAtStripeError
from billing.parking import Parked
from billing.payments import Phase
from billing.times import epoch

READ_A_RUN_MAX: Final = 10_000
"""Parked facts that a run looks at. Were there more, reconciliation would settle what is behind them."""
TRIES_A_RUN_MAX: Final = 200
SWEEP_PAGES_MAX: Final = 10
LISTING_TRIES: Final = 3
"""Stripe's lists may lag behind its events: a refund is nobody's only after it was asked for this often."""

Failed = Callable[[Parked, Exception], None]
"""Is told why a parked fact could not be settled this time."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a run did. ``left``: due, and not tried for want of time.

    ``oldest_seconds``: the age of the oldest fact that is still parked, those that wait for a person among them.
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
    """Try the parked facts that are due, those that are due for longest first. ``go_on`` is asked before each."""
    parked = _parked(books, go_on)
    due = sorted((record for record in parked if 0 < record.next_try <= epoch(books.clock())), key=lambda record: record.next_try)
    tried, settled = 0, set()
    for record in due[:TRIES_A_RUN_MAX]:
        if not go_on():
            break
        tried += 1
        books.store.patience.begin()
        if try_again(books, gateway, record, failed):
            settled.add(record.name)
    waiting = [record.parked_epoch for record in parked if record.name not in settled]
    now = epoch(books.clock())
    return Recovered(len(settled), len(waiting), len(due) - tried, now - min(waiting, default=now))


def _parked(books: Books, go_on: Callable[[], bool]) -> list[Parked]:
    found = []
    books.store.patience.begin()
    for record in parking.all_parked(books):
        books.store.patience.begin()  # for the next page
        found.append(record)
        if len(found) == READ_A_RUN_MAX or not go_on():
            break
    return found


def try_again(books: Books, gateway: Gateway, record: Parked, failed: Failed = lambda *_: None) -> bool:
    """Whether the fact is settled now, found to be nobody's, or dropped with its purchase. Whatever fails, the record stays, for later.

    It is postponed before it is tried: even one that our process dies of is behind all the others next time.
    """
    try:
        if not parking.postpone(books, record):
            return False  # somebody else has it in hand, has settled it, or dropped it
        return settlement.retry(books, record).status != "parked" or _with_stripes_help(books, gateway, record)
    except (OutcomeUnknownError, ServiceFaultError, AnsweredWithFaultError, NotAtStripeError, BillingError) as error:
        failed(record, error)
        return False  # not failed, not settled; and the others have their turn


def _with_stripes_help(books: Books, gateway: Gateway, record: Parked) -> bool:
    """Find the session that a refund or dispute belongs to, and settle that first."""
    fact = record.fact
    if record.kind != "ahead" or isinstance(fact, SessionFact | DeclinedFact):
        return False
    intent = fact.payment_intent or (gateway.charge(fact.charge).get("payment_intent") if fact.charge else None)
    session = gateway.session_of_intent(intent) if isinstance(intent, str) else None
    if session is None and record.tries < LISTING_TRIES:
        return False
    found = observed.session(session, "recover", books.ours) if session else Ignored("not_ours")
    if isinstance(found, Ignored):
        if found.reason != "not_ours":
            return False
        parking.resolve(books, record)
        return True
    outcome = settlement.apply(books, found)
    if outcome.status == "parked" and isinstance(intent, str) and parking.is_dropped(books, found):
        return parking.drop_with_purchase(books, replace(record, fact=_on(fact, intent)), found.session_id, intent)
    settled = outcome.payment
    if settled and settled.phase is Phase.PAID and settled.payment_intent == intent:
        settlement.refer(books, settled)  # a restore may have lost the row that leads there
    return settlement.retry(books, replace(record, fact=_on(fact, intent))).status != "parked"


def _on(fact: RefundsFact | DisputeFact, intent: str | None) -> RefundsFact | DisputeFact:
    return replace(fact, payment_intent=intent)


def sweep_holds(books: Books, go_on: Callable[[], bool] = lambda: True) -> int:
    """Give back what has expired on accounts that nobody has touched since. Returns how many rows of the index it came to.

    ``go_on`` is asked before each account; the next sweep finds what is left.
    """
    seen, after = 0, None
    for _ in range(SWEEP_PAGES_MAX):
        books.store.patience.begin()
        page = books.store.due(epoch(books.clock()), after)
        for user_id, rows in sorted(Counter(item["user_id"] for item in page.items).items()):
            if not go_on():
                return seen
            seen += rows
            books.store.patience.begin()
            with suppress(OutcomeUnknownError):  # the next account may have more luck
                _give_back(books, user_id)
        if (after := page.after) is None:
            break
    return seen


def _give_back(books: Books, user_id: str) -> None:
    balance = Balance.from_item(books.store.get("quotas", (user_id, "quota")))
    if upkeep.holds_are_due(balance, epoch(books.clock())):
        upkeep.give_back_expired(books, user_id, balance)
