"""Runs a reconciliation: compares Stripe's objects with the books, then the books with Stripe.

Sessions, payment intents, refunds and disputes are listed, not events: Stripe itself may fail to
make an event (https://docs.stripe.com/webhooks/handle-irrecoverable-events). A run is bounded by
pages and time. It may end after any row, or be killed, and the next run continues after its last
page.
"""

from collections.abc import Callable

from billing.clock import stamp
from billing.reconciliation.job import (
    LAST,
    Cursor,
    Run,
    keep_cursor,
    note_values,
    read_cursor,
)
from billing.reconciliation.pages import look_at_page
from billing.reconciliation.report import Report


def run(
    job: Run,
    since: int,
    *,
    progress: Callable[[str, int], None] = lambda *_: None,
) -> Report:
    """Compare purchases, refunds and disputes at Stripe with our tables.

    Takes those since the epoch second ``since``, and returns the report. If
    the last run stopped early, its remaining objects are compared first. Then
    a fresh comparison starts if time is left. ``progress`` is called after
    each page with the name of the list that comes next (or ``done``) and the
    number of objects compared so far. Objects and lists that could not be
    compared are in the report. Raises SettingsError, and DynamoDB's errors if
    the place to continue from cannot be read or written.
    """
    report = Report()
    kept = read_cursor(job)
    if kept is not None and not _cycle(job, kept, report, progress):
        return report
    report.finished = (
        _cycle(job, Cursor(since), report, progress) and not report.unlisted
    )
    if report.finished and job.repair and job.resumes:
        job.books.ours.deployment.keep()
        _note_finished(job, report)
    return report


def _note_finished(job: Run, report: Report) -> None:
    finished_at = stamp(job.books.clock())
    note = {
        "finished_at": finished_at,
        "counts": report.counts,
        "matched": report.matched,
    }
    note_values(job.books, LAST, note)


def _cycle(
    job: Run,
    cursor: Cursor | None,
    report: Report,
    progress: Callable[[str, int], None],
) -> bool:
    """Compare Stripe's lists with our tables, and return whether all are done.

    Stripe lists its objects page by page. The cursor, the place of the next
    page, is stored after each; None means that nothing is left to compare.
    False means that it stopped before, for example because time ran out.
    """
    while cursor is not None:
        if report.given_up or not (job.has_time() and job.go_on()):
            return False
        cursor = look_at_page(job, cursor, report)
        keep_cursor(job, cursor)
        phase = cursor.phase if cursor else "done"
        progress(phase, report.matched + sum(report.counts.values()))
    return True
