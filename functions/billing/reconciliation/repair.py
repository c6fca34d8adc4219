"""Repairs an account of which a restore kept only parts.

It repairs payments from Stripe, the ledger from the payments, and the balance from the ledger. It
runs only when an operator asks for it (``topup ledger verify --repair``). It only adds entries and
never changes one. DynamoDB restores one table at a time:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.html. Debits
after the time of the balance's restore are lost. The customer keeps those units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from billing.clock import stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError
from billing.lots.lot import PREFIX, Lot
from billing.payments import references
from billing.payments.payment import Payment, Phase
from billing.quota import ledger
from billing.quota.balance import Balance
from billing.quota.ledger import Entry, EntryType
from billing.reconciliation.audit import disagreeing_payments, reference
from billing.reconciliation.compare import look_again
from billing.reconciliation.repair_keys import repair_keys
from billing.reconciliation.report import Difference, Report
from billing.reconciliation.run import Run
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, absent_or, equals
from billing.stripe_api.client import StripeNotFoundError

COMPARED: Final = (
    "total",
    "used",
    "held",
    "remaining",
    "debt",
    "itemised",
    "holds_placed",
    "holds_due",
    "lots_left",
    "lots_held",
    "lots_used",
    "lots_due",
    "lots_exact",
)
NOTE: Final = "written again after a restore"


@dataclass(frozen=True, slots=True)
class Repaired:
    """The repairs of one account, one sentence each."""

    user_id: str
    acts: tuple[str, ...]


def repair_account(job: Run, user_id: str) -> Repaired:
    """Repair one account. Idempotent: a second call changes nothing.

    If ``job.repair`` is False, nothing is written, and the sentences say what would be done.
    """
    differences = _repair_payments(job, user_id)
    acts = [_act(difference) for difference in differences]
    acts += _repair_references(job, user_id)
    lost = _book_lost_entries(job, user_id)
    acts += (
        f"{entry.entry_id}: {entry.units:+d} units written into the ledger again"
        for entry in lost
    )
    if job.repair:
        acts += _repair_balance(job, user_id)
    elif any(difference.kind != "missing_there" for difference in differences):
        acts.append("the balance is recomputed once these payments are settled")
    else:
        acts += _repair_balance(
            job, user_id, unbooked=sum(entry.units for entry in lost)
        )
    acts += repair_keys(job, user_id)
    return Repaired(user_id, tuple(acts))


def _act(difference: Difference) -> str:
    ending = ", settled" if difference.repaired else ""
    return f"{difference.stripe_id}: {difference.detail}{ending}"


def _repair_payments(job: Run, user_id: str) -> list[Difference]:
    """Settle the payments on which ledger and payments disagree as Stripe shows them now."""
    found: list[Difference] = []
    for name in list(disagreeing_payments(job.books.store, user_id)):
        job.books.store.deadline.begin()
        item = job.books.store.get("payments", (user_key(user_id), name)) or {}
        funding_id = Payment.from_item(item).funding_id if item else name
        report = Report()
        try:
            look_again(job.comparison, funding_id, report)
        except StripeNotFoundError:
            report.add(_missing_there(funding_id, item.get("payment_id", "")))
        found += report.differences
    return found


def _missing_there(funding_id: str, payment_id: str) -> Difference:
    what = "payment intent" if funding_id.startswith("pi_") else "session"
    why = f"Stripe knows no such {what}; nothing was done about it"
    return Difference("missing_there", funding_id, payment_id, why)


def _repair_references(job: Run, user_id: str) -> Iterator[str]:
    """Write the lost rows that lead from payment intents to payments.

    Without them, refunds and disputes of these payments would find no payment.
    """
    store = job.books.store
    for item in list(store.pages("payments", user_key(user_id), "pay_")):
        payment = Payment.from_item(item)
        is_paid = payment.phase is Phase.PAID and payment.payment_intent
        if not is_paid or reference(store, item) is not None:
            continue
        store.deadline.begin()
        if job.repair:
            references.write_again(job.books, payment)
        yield f"{payment.payment_intent}: leads to its payment again"


def _book_lost_entries(job: Run, user_id: str) -> list[Entry]:
    """Book the entries that paid payments show and the ledger has lost. Returns them."""
    store = job.books.store
    booked = list(store.pages("ledger", user_id))
    found: list[Entry] = []
    for item in list(store.pages("payments", user_key(user_id), "pay_")):
        payment = Payment.from_item(item)
        if payment.phase is not Phase.PAID:
            continue
        lost = list(_lost(payment, booked, stamp(job.books.clock())))
        if lost and job.repair:
            _book(job, payment, lost)
        found += lost
    return found


def _lost(
    payment: Payment, booked: Sequence[Item], now: str
) -> Iterator[Entry]:
    """Return the entries that this payment shows and the ledger lacks, under ids that are free."""
    about = [row for row in booked if _is_about(row, payment)]
    numbered = [
        _number(row["entry_id"]) for row in about if row["type"] != "funded"
    ]
    free = replace(payment, movements=max([payment.movements, *numbered]) + 1)

    def entry(cause: str, kind: EntryType, units: int) -> Entry:
        return Entry(
            payment.user_id,
            cause,
            kind,
            units,
            "payment",
            payment.funding_id,
            now,
            NOTE,
        )

    if not any(row["type"] == "funded" for row in about):
        yield entry(
            ledger.funded_id(payment.funding_id), "funded", payment.quota
        )
    taken = -_units(about, "clawed_back", "reinstated")
    if more := payment.units_clawed_back - payment.units_expired - taken:
        yield entry(
            ledger.reversal_id(free),
            "clawed_back" if more > 0 else "reinstated",
            -more,
        )
    written_off = _units(about, "adjusted")
    if more := payment.units_written_off - written_off:
        yield entry(ledger.write_off_id(free), "adjusted", more)


def _units(about: Sequence[Item], *kinds: str) -> int:
    """Return the sum of the entries of these kinds."""
    return sum(row["units"] for row in about if row["type"] in kinds)


def _is_about(row: Item, payment: Payment) -> bool:
    return (row["reference_type"], row["reference_id"]) == (
        "payment",
        payment.funding_id,
    )


def _number(entry_id: str) -> int:
    return int(entry_id.rpartition(":")[2])


def _book(job: Run, payment: Payment, lost: Sequence[Entry]) -> None:
    """Write the entries alone: the balance has these units already, or is repaired next."""
    numbers = [
        _number(entry.entry_id) for entry in lost if entry.type != "funded"
    ]
    numbered = Write(
        "payments",
        (user_key(payment.user_id), payment.payment_id),
        set={"movements": max([payment.movements, *numbers])},
        add={"version": 1},
        must=(equals("version", payment.version),),
    )
    job.books.store.deadline.begin()
    job.books.store.commit(numbered, *(entry.write() for entry in lost))


def _repair_balance(job: Run, user_id: str, unbooked: int = 0) -> Iterator[str]:
    """Recompute the balance from ledger and open holds, and write it.

    Optimistic: written on condition that it is as it was read. ``unbooked``: units of entries that
    a dry run has not written into the ledger.
    """
    store = job.books.store
    store.deadline.begin()
    for _ in store.deadline.attempts():
        item = store.get("quotas", (user_id, "quota"))
        found = Balance.from_item(item)
        right = _recomputed(job, user_id, found, unbooked)
        changed = [
            name
            for name in COMPARED
            if getattr(found, name) != getattr(right, name)
        ]
        if not changed and item is not None:
            return
        try:
            if job.repair:
                store.commit(_balance_write(job, user_id, item, right))
        except ConditionFailedError:
            continue
        for name in changed:
            yield f"balance: {name} was {getattr(found, name)}, is {getattr(right, name)}"
        return
    message = f"the account {user_id} kept changing until the deadline"
    raise OutcomeUnknownError(message)


def _balance_write(
    job: Run, user_id: str, item: Item | None, right: Balance
) -> Write:
    now = stamp(job.books.clock())
    values = {name: getattr(right, name) for name in COMPARED}
    return Write(
        "quotas",
        (user_id, "quota"),
        set={**values, "updated_at": now, "booked_at": now},
        add={"lots_version": 1},
        must=tuple(_unchanged(item)),
    )


def _recomputed(
    job: Run, user_id: str, found: Balance, unbooked: int
) -> Balance:
    rows = list(job.books.store.pages("ledger", user_id))
    itemised = -sum(row["units"] for row in rows if row["type"] == "consumed")
    total = sum(row["units"] for row in rows) + itemised + unbooked
    used = max(found.used, itemised)
    open_holds = list(job.books.store.pages("quotas", user_id, "hold#"))
    held = sum(row["units"] for row in open_holds)
    due = min((row["expires_at"] for row in open_holds), default=0)
    rest = total - used - held
    lots = [
        Lot.from_item(row)
        for row in job.books.store.pages("quotas", user_id, PREFIX)
    ]
    left = sum(lot.left for lot in lots)
    # What the rows show and the account has not is burned next, soonest expiry first. What no row
    # shows never expires.
    unburned = max(used - found.lots_used, left - max(0, rest) - held)
    return replace(
        found,
        lots_left=left,
        lots_held=sum(lot.held for lot in lots),
        lots_used=used - unburned,
        lots_due=next((lot.expires_at for lot in lots if lot.free), 0),
        lots_exact=max(found.lots_exact, *(_can_leave(lot) for lot in lots), 0),
        total=total,
        used=used,
        held=held,
        remaining=max(0, rest),
        debt=max(0, -rest),
        itemised=itemised,
        holds_due=due,
    )


def _can_leave(lot: Lot) -> int:
    """Return 1 for a lot that expires or can be voided: holds of its account name their lots."""
    return int(bool(lot.expires_at) or lot.source != "purchase")


def _unchanged(item: Item | None) -> Iterator[Must]:
    if item is None:
        yield absent("user_id")
        return
    for name in COMPARED:
        yield (
            equals(name, item[name])
            if name in item
            else absent_or(name, "==", 0)
        )
