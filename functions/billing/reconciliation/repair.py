"""Mending an account of which a restore kept only parts: its payments from Stripe, its ledger from those, its balance from the ledger.

Only at an operator's word (``topup ledger verify --repair``), and only by adding: no entry is ever changed. DynamoDB restores one
table at a time (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.html). Units spent
after the moment to which the balance was put back are known to nobody, and stay with the customer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from billing.clock import stamp
from billing.errors import ConditionFailedError, Item, OutcomeUnknownError
from billing.payments import settlement
from billing.payments.payment import Payment, Phase
from billing.quota import ledger
from billing.quota.balance import Balance
from billing.quota.ledger import Entry, EntryType
from billing.reconciliation.audit import disagreeing_payments, reference
from billing.reconciliation.compare import look_again
from billing.reconciliation.report import Report
from billing.reconciliation.run import Run
from billing.storage.keys import user_key
from billing.storage.writes import Must, Write, absent, absent_or, equals
from billing.stripe_api.client import StripeNotFoundError

COMPARED = ("total", "used", "held", "remaining", "debt", "itemised", "holds_placed", "holds_due")


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done for one account, in words, one line an act."""

    user_id: str
    acts: tuple[str, ...]


def mend(job: Run, user_id: str) -> Mended:
    """Mend one account.

    Asked again, it has nothing to do. ``job.repair`` False: nothing is written, and this says what
    would be.
    """
    return Mended(
        user_id,
        (
            *_payments(job, user_id),
            *_references(job, user_id),
            *_entries(job, user_id),
            *_balance(job, user_id),
        ),
    )


def _payments(job: Run, user_id: str) -> Iterator[str]:
    """Those that ledger and payments tell otherwise, as Stripe tells them."""
    for name in list(disagreeing_payments(job.books.store, user_id)):
        job.books.store.deadline.begin()
        item = job.books.store.get("payments", (user_key(user_id), name)) or {}
        session_id, report = item.get("session_id", name), Report()
        try:
            look_again(job.comparison, session_id, report)
        except StripeNotFoundError:
            yield f"{session_id}: Stripe knows no such session; nothing was done about it"
        yield from (
            f"{row.stripe_id}: {row.detail}{', settled' * row.repaired}"
            for row in report.differences
        )


def _references(job: Run, user_id: str) -> Iterator[str]:
    """The rows without which refunds and disputes of these payments would be nobody's."""
    for item in list(job.books.store.pages("payments", user_key(user_id), "pay_")):
        payment = Payment.from_item(item)
        if (
            payment.phase is Phase.PAID
            and payment.payment_intent
            and reference(job.books.store, item) is None
        ):
            job.books.store.deadline.begin()
            if job.repair:
                settlement.refer(job.books, payment)
            yield f"{payment.payment_intent}: leads to its payment again"


def _entries(job: Run, user_id: str) -> Iterator[str]:
    """The entries that paid payments show and the ledger has lost."""
    booked = list(job.books.store.pages("ledger", user_id))
    for item in list(job.books.store.pages("payments", user_key(user_id), "pay_")):
        payment = Payment.from_item(item)
        if payment.phase is Phase.PAID and (
            lost := list(_lost(payment, booked, stamp(job.books.clock())))
        ):
            if job.repair:
                _book(job, payment, lost)
            yield from (
                f"{entry.entry_id}: {entry.units:+d} units written into the ledger again"
                for entry in lost
            )


def _lost(payment: Payment, booked: Sequence[Item], now: str) -> Iterator[Entry]:
    about = [
        row
        for row in booked
        if row["reference_type"] == "payment" and row["reference_id"] == payment.session_id
    ]
    numbered = [_number(row["entry_id"]) for row in about if row["type"] != "funded"]
    free = replace(payment, movements=max([payment.movements, *numbered]) + 1)

    def entry(cause: str, kind: EntryType, units: int) -> Entry:
        note = "written again after a restore"
        return Entry(payment.user_id, cause, kind, units, "payment", payment.session_id, now, note)

    if not any(row["type"] == "funded" for row in about):
        yield entry(ledger.funded_id(payment.session_id), "funded", payment.quota)
    taken = -sum(row["units"] for row in about if row["type"] in ("clawed_back", "reinstated"))
    if more := payment.units_clawed_back - taken:
        yield entry(ledger.reversal_id(free), "clawed_back" if more > 0 else "reinstated", -more)
    given_up = sum(row["units"] for row in about if row["type"] == "adjusted")
    if more := payment.units_written_off - given_up:
        yield entry(ledger.write_off_id(free), "adjusted", more)


def _number(entry_id: str) -> int:
    return int(entry_id.rpartition(":")[2])


def _book(job: Run, payment: Payment, lost: Sequence[Entry]) -> None:
    """The balance shows these units already, or is mended next."""
    last = max(
        [payment.movements, *(_number(entry.entry_id) for entry in lost if entry.type != "funded")]
    )
    job.books.store.deadline.begin()
    job.books.store.commit(
        Write(
            "payments",
            (user_key(payment.user_id), payment.payment_id),
            set={"movements": last},
            add={"version": 1},
            must=(equals("version", payment.version),),
        ),
        *(entry.write() for entry in lost),
    )


def _balance(job: Run, user_id: str) -> Iterator[str]:
    """Recomputed from ledger and open holds, written if nobody changed it meanwhile."""
    store = job.books.store
    store.deadline.begin()
    for _ in store.deadline.attempts():
        item = store.get("quotas", (user_id, "quota"))
        found = Balance.from_item(item)
        right = _recomputed(job, user_id, found)
        changed = [name for name in COMPARED if getattr(found, name) != getattr(right, name)]
        if not changed and item is not None:
            return
        values, now = {name: getattr(right, name) for name in COMPARED}, stamp(job.books.clock())
        write = Write(
            "quotas",
            (user_id, "quota"),
            set={**values, "updated_at": now, "booked_at": now},
            must=tuple(_unchanged(item)),
        )
        try:
            if job.repair:
                store.commit(write)
        except ConditionFailedError:
            continue
        yield from (
            f"balance: {name} was {getattr(found, name)}, is {getattr(right, name)}"
            for name in changed
        )
        return
    message = f"the account {user_id} kept changing until the time was up"
    raise OutcomeUnknownError(message)


def _recomputed(job: Run, user_id: str, found: Balance) -> Balance:
    rows = list(job.books.store.pages("ledger", user_id))
    itemised = -sum(row["units"] for row in rows if row["type"] == "consumed")
    total = sum(row["units"] for row in rows) + itemised
    used = max(found.used, itemised)
    open_holds = list(job.books.store.pages("quotas", user_id, "hold#"))
    held = sum(row["units"] for row in open_holds)
    due = min((row["expires_at"] for row in open_holds), default=0)
    rest = total - used - held
    return replace(
        found,
        total=total,
        used=used,
        held=held,
        remaining=max(0, rest),
        debt=max(0, -rest),
        itemised=itemised,
        holds_due=due,
    )


def _unchanged(item: Item | None) -> Iterator[Must]:
    if item is None:
        yield absent("user_id")
        return
    for name in COMPARED:
        yield equals(name, item[name]) if name in item else absent_or(name, "==", 0)
