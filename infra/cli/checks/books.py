"""The doctor's questions to the books: what is parked, and when they were last compared with Stripe."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from billing.clock import epoch, to_epoch
from billing.payments import parking
from billing.payments.parking import FOR_A_PERSON
from billing.reconciliation.run import LAST

from infra.cli.checks.findings import NEW_SECONDS, Finding, Patient

PARKED_SECONDS_MAX: Final = 3600
"""By then a fact that was only early has been settled."""
RECONCILED_SECONDS_MAX: Final = NEW_SECONDS
"""It runs each hour; a long one may take several runs."""


def parked(patient: Patient) -> Iterator[Finding]:
    """Facts that wait for a person, or wait too long."""
    records = list(parking.all_parked(patient.books))
    person = Counter(row.kind for row in records if row.kind in FOR_A_PERSON)
    oldest = min((row.parked_epoch for row in records), default=0)
    age = epoch(patient.books.clock()) - oldest if oldest else 0
    if person:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(person.items()))
        repair = "`topup parked` says why; `topup parked retry ID` after mending, `topup parked drop ID --reason ...` after a refund"
        yield Finding("parked", "wrong", f"facts wait for a person: {kinds}", repair)
    if age > PARKED_SECONDS_MAX:
        repair = "`topup parked` says what they wait for; `topup reconcile --repair` brings payments that are missing"
        yield Finding(
            "parked",
            "wrong",
            f"the oldest of {len(records)} parked facts waits for {age // 60} min",
            repair,
        )
    if not person and age <= PARKED_SECONDS_MAX:
        yield Finding("parked", "ok", f"{len(records)} facts wait, none for long")


def reconciliation(patient: Patient) -> Iterator[Finding]:
    """The books were compared with Stripe lately."""
    last = patient.books.store.get("events", LAST)
    repair = "look into the log of ReconcileFunction, and run `topup reconcile --since 7d`"
    if last is None:
        level = "note" if patient.is_new else patient.unless_local("wrong")
        yield Finding(
            "reconciliation",
            level,
            f"the books were never compared with Stripe{' yet' * patient.is_new}",
            repair,
        )
        return
    age = epoch(patient.books.clock()) - to_epoch(last["finished_at"])
    what = f"finished {last['finished_at']}, {last['matched']} agreed, {sum(last['counts'].values())} did not"
    late = age > RECONCILED_SECONDS_MAX
    yield Finding(
        "reconciliation",
        patient.unless_local("wrong") if late else "ok",
        f"{'overdue: ' if late else ''}last {what}",
        repair if late else "",
    )
