"""Repairs an account after a restore from which some tables are older.

It repairs payments from Stripe, the ledger from the payments, and the balance
from the ledger. It runs only if an operator asks for it (``topup ledger verify
--repair``). It only adds ledger entries and never changes one. Debits after
the time to which the balance was restored are lost, so the customer keeps
those units. DynamoDB restores one table at a time:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.html
"""

from collections.abc import Iterator
from dataclasses import dataclass

from billing.audit.readings import disagreeing_payments, reference
from billing.audit.repair_balance import repair_balance
from billing.audit.repair_keys import repair_keys
from billing.audit.repair_ledger import book_lost_entries
from billing.payments import references
from billing.payments.payment import Payment, Phase
from billing.reconciliation.compare import look_again
from billing.reconciliation.job import Run
from billing.reconciliation.report import Difference, Report
from billing.storage.keys import user_key
from billing.stripe_api.outcomes import StripeNotFoundError


@dataclass(frozen=True, slots=True)
class Repaired:
    """Holds the repairs of one account, as one sentence for each."""

    user_id: str
    acts: tuple[str, ...]


def repair_account(job: Run, user_id: str) -> Repaired:
    """Repair an account of which a restore kept only a part.

    Returns what was done, in one sentence each. If ``job.repair`` is False,
    nothing is written, and the sentences say what would be done. A second run
    changes nothing more.
    """
    differences = _repair_payments(job, user_id)
    acts = [_act(difference) for difference in differences]
    acts += _repair_references(job, user_id)
    lost = book_lost_entries(job, user_id)
    acts += (
        f"{entry.entry_id}: {entry.units:+d} units written into the ledger again"
        for entry in lost
    )
    if job.repair:
        acts += repair_balance(job, user_id)
    elif any(difference.kind != "missing_there" for difference in differences):
        acts.append("the balance is recomputed once these payments are settled")
    else:
        acts += repair_balance(
            job, user_id, unbooked=sum(entry.units for entry in lost)
        )
    acts += repair_keys(job, user_id)
    return Repaired(user_id, tuple(acts))


def _act(difference: Difference) -> str:
    ending = ", settled" if difference.repaired else ""
    return f"{difference.stripe_id}: {difference.detail}{ending}"


def _repair_payments(job: Run, user_id: str) -> list[Difference]:
    """Compare with Stripe each payment that differs from the ledger.

    Returns the differences between our payments and Stripe. In a run that
    repairs, what was missed is also booked, as Stripe has it. A payment that
    Stripe does not know is returned too, and left as it is.
    """
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
    """Write lost reference rows again. Yield a sentence for each.

    A reference row leads from a payment intent to its payment. Without it,
    a refund or dispute would find no payment.
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
