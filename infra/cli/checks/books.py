"""Checks the books: parked events, and the age of the last reconciliation.

A parked event is one from Stripe that is kept because it cannot be settled yet.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from billing.clock import epoch, to_epoch
from billing.parked.records import all_parked
from billing.reconciliation.job import LAST

from infra.cli.checks.findings import NEW_SECONDS, Finding, Patient

PARKED_SECONDS_MAX: Final = 3600
"""The longest that an event that cannot be settled yet may be parked. One that only came ahead of
its payment is settled sooner than that.
"""
RECONCILED_SECONDS_MAX: Final = NEW_SECONDS
"""The greatest age of the last reconciliation. Reconciliation runs each hour, and a long one takes
several runs.
"""


def parked(patient: Patient) -> Iterator[Finding]:
    """Check that no parked event waits for an operator or has been parked too long.

    An event is parked if it cannot be settled yet.
    """
    records = list(all_parked(patient.books))
    for_operator = Counter(row.kind for row in records if row.waits_for_operator)
    oldest = min((row.parked_epoch for row in records), default=0)
    age = epoch(patient.books.clock()) - oldest if oldest else 0
    if for_operator:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(for_operator.items()))
        repair = (
            "`topup parked` shows why; `topup parked retry ID` after a repair,"
            " `topup parked drop ID --reason ...` after a refund"
        )
        yield Finding("parked", "wrong", f"parked events need an operator: {kinds}", repair)
    if age > PARKED_SECONDS_MAX:
        what = f"the oldest of {len(records)} parked events waits for {age // 60} min"
        repair = (
            "`topup parked` shows what they wait for;"
            " `topup reconcile --repair` settles missing payments"
        )
        yield Finding("parked", "wrong", what, repair)
    if not for_operator and age <= PARKED_SECONDS_MAX:
        yield Finding("parked", "ok", f"{len(records)} parked events, none for long")


def reconciliation(patient: Patient) -> Iterator[Finding]:
    """Check that Stripe and the books were compared in the last three hours.

    The comparison is called reconciliation and runs each hour. In a stack younger than three hours
    it may still be missing.
    """
    last = patient.books.store.get("events", LAST)
    repair = "read the log of ReconcileFunction, and run `topup reconcile --since 7d`"
    if last is None:
        level = "note" if patient.is_new else patient.unless_local("wrong")
        yet = " yet" * patient.is_new
        what = f"the books were never compared with Stripe{yet}"
        yield Finding("reconciliation", level, what, repair)
        return
    age = epoch(patient.books.clock()) - to_epoch(last["finished_at"])
    differing = sum(last["counts"].values())
    what = f"finished {last['finished_at']}, {last['matched']} agreed, {differing} did not"
    if age > RECONCILED_SECONDS_MAX:
        level = patient.unless_local("wrong")
        yield Finding("reconciliation", level, f"overdue: last {what}", repair)
    else:
        yield Finding("reconciliation", "ok", f"last {what}")
