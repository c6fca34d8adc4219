"""Books the ledger entries again that a restore has lost.

The payments show which entries there must be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from billing.clock import stamp
from billing.errors import Item
from billing.payments.payment import Payment, Phase
from billing.quota import ledger
from billing.quota.ledger import Entry, EntryType
from billing.reconciliation.job import Run
from billing.storage.keys import user_key
from billing.storage.writes import Write, equals

NOTE: Final = "written again after a restore"


def book_lost_entries(job: Run, user_id: str) -> list[Entry]:
    """Book the entries that the ledger has lost, and return them.

    Paid payments show which ones there must be. Without ``job.repair``,
    nothing is written.
    """
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
    """Yield the ledger entries that a payment must have and the ledger lacks.

    They are for the purchase, for units taken back by refunds or disputes, and
    for units written off. ``booked`` are all entries of the account in the
    ledger. The ids of yielded entries are not in use, so writing them changes
    no other entry.
    """
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
    """Return the sum of units of the ledger entries of some types.

    ``about`` are a payment's entries, and ``kinds`` the types to count.
    """
    return sum(row["units"] for row in about if row["type"] in kinds)


def _is_about(row: Item, payment: Payment) -> bool:
    return (row["reference_type"], row["reference_id"]) == (
        "payment",
        payment.funding_id,
    )


def _number(entry_id: str) -> int:
    return int(entry_id.rpartition(":")[2])


def _book(job: Run, payment: Payment, lost: Sequence[Entry]) -> None:
    """Write the ledger entries ``lost`` of a payment, but not the balance.

    The balance was not lost with them, or the next step of the repair
    recomputes it.
    """
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
