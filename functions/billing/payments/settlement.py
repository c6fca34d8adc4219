"""Settlement: a fact becomes a payment's state, the quota, ledger entries and the event's mark, in one transaction.

Webhook, confirm, recovery, reconciliation and the operator's replay all enter at ``apply``; there is no second way to move
a unit. The guard is the payment itself, for ever: not the event's id, and not a record that expires.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Literal

from billing.books import Books
from billing.clock import stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError, RetryableError
from billing.facts import DeclinedFact, DisputeFact, Fact, RefundsFact, SessionFact
from billing.payments import parking
from billing.payments.payment import Already, Change, Park, Payment, Phase, decide
from billing.quota import balance as balances
from billing.quota import ledger
from billing.quota.balance import Balance
from billing.quota.ledger import Entry, EntryType
from billing.storage.keys import REFERENCE, reference_key, user_key
from billing.storage.writes import Must, Write, absent, absent_or, equals, exists

Status = Literal["settled", "recorded", "duplicate", "ignored", "parked"]
WAITING_AT_ONCE_MAX: Final = 20
"""Of the facts that waited for a payment, so many are settled with it, by some six calls each: far
within a request's deadline."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a fact.

    ``units`` moved (signed); ``payment`` as it is now, None where we have none.
    """

    status: Status
    payment: Payment | None = None
    units: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What a decision is based on.

    ``assumed``: nothing was read, the write's conditions carry every assumption.
    """

    payment: Payment | None
    balance: Balance = Balance()  # noqa: RUF009 - frozen
    waiting: frozenset[str] = frozenset()
    """Parked facts that wait for this payment."""
    aside: frozenset[str] = frozenset()
    """Of those, such as were dropped with it, by a person who did not expect it to be credited."""
    assumed: bool = False
    linked: bool = False
    """Stripe's id is known to lead to a payment of ours, whether or not that payment is there."""
    restored: bool = False
    """The payment was put back to before what the ledger shows: it was caught up here, and is
    written whole."""
    funded: bool = False
    """The ledger has this session's units already."""


def apply(books: Books, fact: Fact) -> Outcome:
    """Settle one fact, once.

    Raises OutcomeUnknownError when the answer is lost: the caller must ask for redelivery.
    """
    view = _assume(fact) or _load(books, fact)
    for _ in books.store.deadline.attempts():
        decision = decide(view.payment, fact, stamp(books.clock()))
        if view.funded and isinstance(decision, Change):
            decision = replace(decision, units=0, entry="")
        if not isinstance(decision, Change):
            if (outcome := _without_change(books, fact, view, decision)) is not None:
                return outcome
            view = _load(books, fact)
            continue
        try:
            books.store.commit(*_writes(books, fact, view, decision))
        except ConditionFailedError as refused:
            view = _after_refusal(books, fact, view, refused)
            continue
        _settle_waiting(books, view)
        return Outcome(
            "settled" if decision.units else "recorded", decision.payment, decision.units
        )
    message = f"{fact.fact_id} met other changes until the time was up"
    raise OutcomeUnknownError(message)


def _without_change(
    books: Books, fact: Fact, view: View, decision: Already | Park
) -> Outcome | None:
    """None: the world moved on while we parked, decide again."""
    if isinstance(decision, Already):
        return Outcome("duplicate" if decision.duplicate else "recorded", view.payment)
    if view.payment is None and (why := why_nobodys(books, fact, linked=view.linked)):
        return Outcome("ignored", why=why)
    if view.linked and decision.kind == "ahead":
        decision = Park(
            "unknown_payment", f"{fact.type} refers to a payment of ours that is not in our records"
        )
    if parking.park(books, fact, decision):
        return Outcome("parked", view.payment, why=decision.why)
    return None


def why_nobodys(books: Books, fact: Fact, *, linked: bool = False) -> str:
    """Why a fact whose payment was not found is not kept for later; "" if it must be.

    ``linked``: our records lead from Stripe's id to a payment, so it is ours.
    """
    if moves_nothing(fact):
        return f"{fact.type} can move no unit, and its payment is not in our records"
    if _needs_record(fact) and not linked and not _has_record(books, fact):
        return f"only our record could show that this {fact.type} is ours, and there is none"
    return ""


def moves_nothing(fact: Fact) -> bool:
    """Whether it could move no unit, whatever comes later: it was not paid, or it is an inquiry."""
    if isinstance(fact, SessionFact):
        return fact.kind != "paid"
    if isinstance(fact, DisputeFact):
        return not (fact.opened or fact.closed or fact.transactions)
    return isinstance(fact, DeclinedFact)


def _needs_record(fact: Fact) -> bool:
    return not isinstance(fact, DisputeFact) and fact.needs_record


def _has_record(books: Books, fact: Fact) -> bool:
    """Of a charge that came ahead of its session. The record of a session was looked for before."""
    if not isinstance(fact, RefundsFact) or not fact.payment_id:
        return False
    return books.store.get("payments", (user_key(fact.user_id), fact.payment_id)) is not None


def _assume(fact: Fact) -> View | None:
    """Facts that carry our metadata need no read before the write: what they claim goes into the conditions."""
    if isinstance(fact, RefundsFact | DisputeFact):
        return None
    return View(Payment.claimed_by(fact), assumed=True)


def _load(books: Books, fact: Fact) -> View:
    reversal = isinstance(fact, RefundsFact | DisputeFact)
    found: Item = {}
    if isinstance(fact, RefundsFact | DisputeFact):
        found = reference(books, fact.payment_intent or fact.charge or "") or {}
        if "payment_id" not in found:
            return View(None)
        owner = (found["user_id"], found["payment_id"])
    else:
        owner = (fact.user_id, fact.payment_id)
        if isinstance(fact, SessionFact) and fact.kind == "paid" and fact.payment_intent:
            found = reference(books, fact.payment_intent) or {}
    item = books.store.get("payments", (user_key(owner[0]), owner[1]))
    quota = books.store.get("quotas", (owner[0], "quota"))
    waiting, aside = (found.get(name, frozenset()) for name in ("waiting", "aside"))
    return View(
        Payment.from_item(item) if item else None,
        Balance.from_item(quota),
        waiting,
        aside,
        linked=reversal,
    )


def reference(books: Books, stripe_id: str) -> Item | None:
    """The row that leads from one of Stripe's ids to our payment, or holds the facts that wait for it."""
    return books.store.get("payments", (reference_key(stripe_id), REFERENCE))


def refer(books: Books, payment: Payment) -> None:
    """Lead from a settled payment's intent to it once more, where that row was lost.

    Facts that wait there are recovery's.
    """
    owner = {"payment_id": payment.payment_id, "user_id": payment.user_id}
    books.store.commit(
        Write(
            "payments",
            (reference_key(payment.payment_intent), REFERENCE),
            set=owner,
            remove=("waiting",),
        )
    )


def _after_refusal(books: Books, fact: Fact, view: View, refused: ConditionFailedError) -> View:
    """The old item that the refused condition returned usually tells why, without another read."""
    if view.assumed and 0 in refused.old:
        old = refused.old[0]
        seen = View(Payment.from_item(old) if old else None)
        if not isinstance(decide(seen.payment, fact, ""), Change):
            return seen
    fresh = _load(books, fact)
    if fresh.aside and isinstance(fact, SessionFact) and fact.payment_intent:
        parking.bring_back(books, fact.payment_intent, fresh.aside)
    return fresh if 0 in refused.old else _caught_up(books, fact, fresh)


def _caught_up(books: Books, fact: Fact, view: View) -> View:
    """After a restore the ledger may show more than the payment does: what is booked stays booked, and is not booked again."""
    payment = view.payment
    if payment is None:
        return view
    whole = ledger.with_all_booked(books.store, payment)
    funded = (
        isinstance(fact, SessionFact)
        and payment.phase is not Phase.PAID
        and _is_funded(books, fact)
    )
    return replace(view, payment=whole, funded=funded, restored=whole != payment)


def _is_funded(books: Books, fact: SessionFact) -> bool:
    return books.store.get("ledger", (fact.user_id, ledger.funded_id(fact.session_id))) is not None


def _writes(books: Books, fact: Fact, view: View, change: Change) -> Iterator[Write]:
    """The payment first: when its condition fails, the old item returned at place 0 tells why."""
    now = stamp(books.clock())
    movement = _movement(books, view, change)
    payment = replace(
        change.payment, units_written_off=change.payment.units_written_off + movement.written_off
    )
    yield _payment_write(fact, view, payment)
    if change.entry:
        yield Write(
            "quotas",
            (payment.user_id, "quota"),
            set={"updated_at": now, "booked_at": now},
            add={
                **{name: units for name, units in movement.add.items() if units},
                "total": change.units + movement.written_off,
            },
            must=movement.must,
        )
        cause = (
            ledger.funded_id(payment.session_id)
            if change.entry == "funded"
            else ledger.reversal_id(payment)
        )
        yield _entry(payment, cause, change.entry, change.units, now).write()
        if movement.written_off:
            yield _entry(
                payment, ledger.write_off_id(payment), "adjusted", movement.written_off, now
            ).write()
    yield from _reference_writes(fact, view, payment)
    mark = {"type": fact.type, "units": change.units, "created": fact.created, "booked_at": now}
    yield Write("events", (payment.payment_id, fact.fact_id), set=mark)


def _movement(books: Books, view: View, change: Change) -> balances.Movement:
    if change.units >= 0:
        # What was written off at the clawback comes back first: the customer has used those units.
        back = (
            min(change.payment.units_written_off, change.units)
            if change.entry == "reinstated"
            else 0
        )
        return replace(balances.come_in(view.balance, change.units - back), written_off=-back)
    return balances.go_out(view.balance, -change.units, books.policy)


def _entry(payment: Payment, cause: str, kind: EntryType, units: int, now: str) -> Entry:
    return Entry(payment.user_id, cause, kind, units, "payment", payment.session_id, now)


def _payment_write(fact: Fact, view: View, after: Payment) -> Write:
    before = {} if view.restored else (view.payment or after).to_item()
    values = {name: value for name, value in after.to_item().items() if value != before.get(name)}
    values.pop("version", None)
    if isinstance(fact, SessionFact):
        values["session_id"] = fact.session_id
    return Write(
        "payments",
        (user_key(after.user_id), after.payment_id),
        set={**values, "status": after.status},
        add={"version": 1},
        remove=("failure_code",) if after.phase is Phase.PAID else (),
        must=tuple(_assumptions(fact, after))
        if view.assumed
        else (equals("version", after.version - 1),),
    )


def _assumptions(fact: Fact, after: Payment) -> Iterator[Must]:
    yield exists("owner")
    yield Must("phase", "<", int(after.phase))
    if isinstance(fact, SessionFact):
        yield absent_or("session_id", "==", fact.session_id)
        if fact.kind == "paid":
            yield from (
                equals(name, getattr(after, name))
                for name in ("plan", "quota", "amount_minor", "currency")
            )


def _reference_writes(fact: Fact, view: View, payment: Payment) -> Iterator[Write]:
    """Lead from Stripe's ids to this payment, from the moment it is paid."""
    owner = {"payment_id": payment.payment_id, "user_id": payment.user_id}
    if view.payment and view.payment.session_id not in ("", payment.session_id):
        yield Write(
            "payments",
            (user_key(payment.user_id), payment.session_id),
            set={"payment_id": payment.payment_id},
        )
    if isinstance(fact, SessionFact) and fact.kind == "paid" and fact.payment_intent:
        nobody_waits = equals("waiting", view.waiting) if view.waiting else absent("waiting")
        gone = ("waiting",) if view.waiting else ()
        must = (nobody_waits, absent("aside"))
        yield Write(
            "payments",
            (reference_key(fact.payment_intent), REFERENCE),
            set=owner,
            remove=gone,
            must=must,
        )
    if isinstance(fact, RefundsFact | DisputeFact) and fact.charge and fact.payment_intent:
        yield Write("payments", (reference_key(fact.charge), REFERENCE), set=owner)


def _settle_waiting(books: Books, view: View) -> None:
    """Facts that came ahead of this payment.

    What this does not come to, recovery finds parked, and settles.
    """
    with suppress(
        RetryableError
    ):  # the payment itself is settled, and its event must not be told otherwise
        for fact_id in sorted(view.waiting)[:WAITING_AT_ONCE_MAX]:
            if record := parking.find(books, fact_id):
                retry(books, record)


def retry(books: Books, record: parking.Parked) -> Outcome:
    """Settle a parked fact again; once it is settled, the record goes."""
    outcome = apply(books, record.fact)
    if outcome.status != "parked":
        parking.resolve(books, record)
    return outcome
