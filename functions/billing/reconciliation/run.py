"""Runs a reconciliation: compares Stripe's objects with the books, then the books with Stripe.

Sessions, payment intents, refunds and disputes are listed, not events: Stripe itself may fail to
make an event (https://docs.stripe.com/webhooks/handle-irrecoverable-events). A run is bounded by
pages and time. It may end after any row, or be killed, and the next run continues after its last
page. A row or a
list that fails does not stop the others.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from billing.books import Books
from billing.clock import from_epoch, stamp
from billing.errors import Item, SettingsError
from billing.payments.payment import Payment
from billing.reconciliation import compare
from billing.reconciliation.compare import Comparison
from billing.reconciliation.report import Difference, Report
from billing.storage.writes import Write
from billing.stripe_api.client import TO_A_BUYER, Gateway

DAY_SECONDS: Final = 24 * 3600
OLDER_SECONDS: Final[Mapping[str, int]] = {
    "sessions": 0,
    "intents": 0,
    "refunds": 60 * DAY_SECONDS,
    "disputes": 180 * DAY_SECONDS,
}
"""How much further back each kind is listed: an old one may change now.

A refund can fail after weeks (https://docs.stripe.com/refunds#failed-refunds), a dispute takes two
to three months (https://docs.stripe.com/disputes/how-disputes-work).
"""
PHASES: Final = (*OLDER_SECONDS, "ours")
CURSORS: Final = {
    True: ("reconcile", "cursor"),
    False: ("reconcile", "cursor_dry"),
}
"""A dry run has a cursor of its own, or it would skip pages of a repair."""
LAST: Final = ("reconcile", "last")
INDEX_KEYS: Final = ("owner", "id", "unseen", "completed_at")
FAILED_IN_A_ROW_MAX: Final = 10
"""How many rows of a page may fail in a row before the run ends.

A few may belong to one customer. If ten fail, Stripe or DynamoDB does, and the run would only wait,
up to 14 s a row: less than half of its time (tests/repo holds the sum). The next run continues
after them.
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place at which the next run continues."""

    since: int
    phase: str = PHASES[0]
    after: Any = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The inputs and limits of one run.

    ``go_on`` is asked before every page, ``has_time`` before every row. With ``resumes`` the next
    run continues a stopped one. ``failed`` is called with the name of a row or list that could not
    be compared, while its exception is handled.
    """

    books: Books
    gateway: Gateway
    repair: bool
    go_on: Callable[[], bool] = lambda: True
    resumes: bool = True
    has_time: Callable[[], bool] = lambda: True
    failed: Callable[[str], None] = lambda _: None

    @property
    def comparison(self) -> Comparison:
        """Return the inputs for the comparison of one object."""
        return Comparison(self.books, self.gateway, self.repair)


def run(
    job: Run,
    since: int,
    *,
    progress: Callable[[str, int], None] = lambda *_: None,
) -> Report:
    """Compare everything created since an epoch second, and return the report.

    It resumes a stopped run, then starts a fresh one if time is left. ``progress`` is called after
    each page with its list and the number of rows compared. Rows and lists that fail are in the
    report. Raises SettingsError, and the store's errors if the cursor cannot be read or written.
    """
    report = Report()
    kept = _read_cursor(job)
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
    _note(job.books, LAST, note)


def _cycle(
    job: Run,
    cursor: Cursor | None,
    report: Report,
    progress: Callable[[str, int], None],
) -> bool:
    """Look at page after page, and keep the cursor after each. True when all is done."""
    while cursor is not None:
        if report.given_up or not (job.has_time() and job.go_on()):
            return False
        cursor = _look_at_page(job, cursor, report)
        _keep_cursor(job, cursor)
        phase = cursor.phase if cursor else "done"
        progress(phase, report.matched + sum(report.counts.values()))
    return True


def _look_at_page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """Look at one page. Returns where to continue, None when there is nothing more.

    If the list itself cannot be read, perhaps for want of a right, the next list has its turn. The
    next run begins the failed one again.
    """
    job.books.store.deadline.begin()
    try:
        if cursor.phase == "ours":
            return _our_page(job, cursor, report)
        return _stripes_page(job, cursor, report)
    except SettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - no list may stop the others
        _report_failure(job, report, f"the list {cursor.phase!r}", error)
    report.unlisted.append(cursor.phase)
    return _at_next_list(cursor)


def _stripes_page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """Look at a page of a list of Stripe's."""
    lister, look = {
        "sessions": (job.gateway.sessions, compare.look_at_purchase),
        "intents": (job.gateway.payment_intents, compare.look_at_intent),
        "refunds": (job.gateway.refunds, compare.look_at_refund),
        "disputes": (job.gateway.disputes, compare.look_at_dispute),
    }[cursor.phase]
    page = lister(cursor.since - OLDER_SECONDS[cursor.phase], cursor.after)
    rows = page["data"]
    done, is_stopped = _look_at_rows(
        job, report, rows, lambda row: look(job.comparison, row, report)
    )
    if is_stopped or page["has_more"]:
        return replace(cursor, after=done["id"]) if done else cursor
    return _at_next_list(cursor)


def _at_next_list(cursor: Cursor) -> Cursor | None:
    left = PHASES[PHASES.index(cursor.phase) + 1 :]
    return Cursor(cursor.since, left[0]) if left else None


def _our_page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """Look at a page of our own payments that are paid and were in no list of Stripe's.

    A sparse index holds only those.
    """
    page = job.books.store.unseen(
        from_epoch(cursor.since), cursor.after or None
    )

    def look(row: Item) -> None:
        item = job.books.store.get("payments", (row["owner"], row["id"])) or {}
        if "unseen" in item:
            compare.look_at_ours(
                job.comparison, Payment.from_item(item), report
            )

    done, is_stopped = _look_at_rows(job, report, page.items, look)
    if is_stopped:
        return (
            replace(cursor, after={name: done[name] for name in INDEX_KEYS})
            if done
            else cursor
        )
    return replace(cursor, after=page.after) if page.after else None


def _look_at_rows(
    job: Run, report: Report, rows: Iterable[Item], look: Callable[[Item], None]
) -> tuple[Item | None, bool]:
    """Look at row after row while there is time: one row's calls fit into what ``has_time`` leaves.

    Returns the last row looked at, and whether rows are left. A row that fails counts as looked
    at: every run lists it again, and the rows after it have their turn.
    """
    done: Item | None = None
    failed_in_a_row = 0
    for row in rows:
        if report.given_up or not job.has_time():
            return done, True
        job.books.store.deadline.begin()
        try:
            look(row)
            failed_in_a_row = 0
        except SettingsError:
            raise
        except Exception as error:  # noqa: BLE001 - no customer's row may stop the others
            _report_failure(job, report, row["id"], error, row)
            failed_in_a_row += 1
        report.given_up = failed_in_a_row == FAILED_IN_A_ROW_MAX
        done = row
    return done, False


def _report_failure(
    job: Run,
    report: Report,
    name: str,
    error: Exception,
    row: Item | None = None,
) -> None:
    """Report a row or list that could not be compared, be it by a fault of ours."""
    job.failed(name)
    why = f"{name} was not compared: {type(error).__name__}: {error}".removesuffix(
        TO_A_BUYER
    )
    is_ours = row is not None and "unseen" in row
    payment_id = name if is_ours else ""
    stripe_id = name if row is not None and not is_ours else ""
    report.add(Difference("failed", stripe_id, payment_id, why))


def _read_cursor(job: Run) -> Cursor | None:
    item = (
        job.books.store.get("events", CURSORS[job.repair])
        if job.resumes
        else None
    )
    return (
        Cursor(item["since"], item["phase"], item["after"])
        if item and "phase" in item
        else None
    )


def _keep_cursor(job: Run, cursor: Cursor | None) -> None:
    if not job.resumes:
        return
    job.books.store.deadline.begin()
    if cursor is None:
        job.books.store.commit(
            Write("events", CURSORS[job.repair], delete=True)
        )
    else:
        _note(job.books, CURSORS[job.repair], asdict(cursor))


def _note(
    books: Books, key: tuple[str, str], values: Mapping[str, Any]
) -> None:
    books.store.commit(Write("events", key, set=values))
