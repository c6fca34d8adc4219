"""Reconciliation: page after page of Stripe's objects against the books, then of the books against Stripe.

Sessions, refunds and disputes are listed, not events: Stripe itself may fail to make an event
(https://docs.stripe.com/webhooks/handle-irrecoverable-events). Bounded by pages and time: a run may end after any row, or be
killed, and the next goes on where its last page ended. No row and no list that fails keeps the others from their turn.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
    "refunds": 60 * DAY_SECONDS,
    "disputes": 180 * DAY_SECONDS,
}
"""How much further back each kind is listed: what was made long ago may change now.

A refund can fail after weeks (https://docs.stripe.com/refunds#failed-refunds), a dispute takes two
to three months (https://docs.stripe.com/disputes/how-disputes-work).
"""
PHASES: Final = (*OLDER_SECONDS, "ours")
CURSORS: Final = {True: ("reconcile", "cursor"), False: ("reconcile", "cursor_dry")}
"""A dry run that is stopped goes on as one: it must not swallow the pages of a repair."""
LAST: Final = ("reconcile", "last")
INDEX_KEYS: Final = ("owner", "id", "unseen", "completed_at")
FAILED_IN_A_ROW_MAX: Final = 10
"""Rows of one page.

One customer may have bought a few times in a row; where ten rows fail, Stripe or DynamoDB does, and
a run would only wait, up to 14 s a row: less than half of its time (tests/repo holds the sum). The
next run goes on behind them all the same.
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on: constant in size, whatever there is to look at."""

    since: int
    phase: str = PHASES[0]
    after: Any = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run's means and bounds:

    ``go_on`` is asked before every page, ``has_time`` before every row of it.

    ``resumes``: a stopped run is gone on with by the next. ``failed`` is called with the name of a
    row or list that could not be compared, while the exception is at hand.
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
        """What looking at one object needs of it."""
        return Comparison(self.books, self.gateway, self.repair)


def run(job: Run, since: int, *, told: Callable[[str, int], None] = lambda *_: None) -> Report:
    """Compare everything created since an epoch second.

    Resumes a run that was stopped, then starts a fresh one if time is left.

    What fails is in the report, and does not raise. SettingsError does, and whatever keeps the
    cursor from being read or written.
    """
    report = Report()
    kept = _kept_cursor(job)
    if kept is not None and not _cycle(job, kept, report, told):
        return report
    report.finished = _cycle(job, Cursor(since), report, told) and not report.unlisted
    if report.finished and job.repair and job.resumes:
        job.books.ours.deployment.keep()
        _note(
            job.books,
            LAST,
            {
                "finished_at": stamp(job.books.clock()),
                "counts": report.counts,
                "matched": report.matched,
            },
        )
    return report


def _cycle(
    job: Run, cursor: Cursor | None, report: Report, told: Callable[[str, int], None]
) -> bool:
    """Page after page; the cursor is kept after each, so that any of them may be the last.

    True when all is done.
    """
    while cursor is not None:
        if report.given_up or not (job.has_time() and job.go_on()):
            return False
        cursor = _page(job, cursor, report)
        _keep_cursor(job, cursor)
        told(cursor.phase if cursor else "done", report.matched + sum(report.counts.values()))
    return True


def _page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """Look at one page.

    Returns where to go on: behind the last row looked at; None when there is nothing more.

    A list that cannot be had, for want of a right perhaps, loses its place: the others have their
    turn, and the next run begins it anew.
    """
    job.books.store.deadline.begin()
    with _telling(job, report, f"the list {cursor.phase!r}"):
        return (_our_page if cursor.phase == "ours" else _stripes_page)(job, cursor, report)
    report.unlisted.append(cursor.phase)
    return _at_the_next_list(cursor)


def _stripes_page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """A page of what Stripe lists."""
    lister, look = {
        "sessions": (job.gateway.sessions, compare.look_at_session),
        "refunds": (job.gateway.refunds, compare.look_at_refund),
        "disputes": (job.gateway.disputes, compare.look_at_dispute),
    }[cursor.phase]
    page = lister(cursor.since - OLDER_SECONDS[cursor.phase], cursor.after)
    done, rest = _looked_at(
        job, report, page["data"], lambda row: look(job.comparison, row, report)
    )
    if rest or page["has_more"]:
        return replace(cursor, after=done["id"]) if done else cursor
    return _at_the_next_list(cursor)


def _at_the_next_list(cursor: Cursor) -> Cursor | None:
    left = PHASES[PHASES.index(cursor.phase) + 1 :]
    return Cursor(cursor.since, left[0]) if left else None


def _our_page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """Our own records that say ``paid`` and that no listing has shown: an index holds those, and only those."""
    page = job.books.store.unseen(from_epoch(cursor.since), cursor.after or None)

    def look(row: Item) -> None:
        item = job.books.store.get("payments", (row["owner"], row["id"])) or {}
        if "unseen" in item:
            compare.look_at_ours(job.comparison, Payment.from_item(item), report)

    done, rest = _looked_at(job, report, page.items, look)
    if rest:
        return replace(cursor, after={name: done[name] for name in INDEX_KEYS}) if done else cursor
    return replace(cursor, after=page.after) if page.after else None


def _looked_at(
    job: Run, report: Report, rows: Iterable[Item], look: Callable[[Item], None]
) -> tuple[Item | None, bool]:
    """Row after row while there is time: one row's calls fit into what ``has_time`` leaves.

    The last one, and whether some are left.

    One that fails counts as looked at: every run lists it again, and until then the rows behind it
    have their turn.
    """
    done: Item | None = None
    failed_in_a_row = 0
    for row in rows:
        if report.given_up or not job.has_time():
            return done, True
        job.books.store.deadline.begin()
        before, is_ours = report.failed, "unseen" in row
        with _telling(
            job,
            report,
            row["id"],
            stripe_id="" if is_ours else row["id"],
            payment_id=row["id"] if is_ours else "",
        ):
            look(row)
        failed_in_a_row = failed_in_a_row + 1 if report.failed > before else 0
        report.given_up = failed_in_a_row == FAILED_IN_A_ROW_MAX
        done = row
    return done, False


@contextmanager
def _telling(
    job: Run, report: Report, name: str, *, stripe_id: str = "", payment_id: str = ""
) -> Iterator[None]:
    """What fails in here, by a fault of ours too, is in the report, and keeps nothing else from its turn."""
    try:
        yield
    except SettingsError:
        raise
    except Exception as error:  # noqa: BLE001 - the last line of defence: one customer's trouble must not starve all the others
        job.failed(name)
        why = f"{name} was not compared: {type(error).__name__}: {error}".removesuffix(TO_A_BUYER)
        report.add(Difference("failed", stripe_id, payment_id, why))


def _kept_cursor(job: Run) -> Cursor | None:
    item = job.books.store.get("events", CURSORS[job.repair]) if job.resumes else None
    return Cursor(item["since"], item["phase"], item["after"]) if item and "phase" in item else None


def _keep_cursor(job: Run, cursor: Cursor | None) -> None:
    if not job.resumes:
        return
    job.books.store.deadline.begin()
    if cursor is None:
        job.books.store.commit(Write("events", CURSORS[job.repair], delete=True))
    else:
        _note(job.books, CURSORS[job.repair], asdict(cursor))


def _note(books: Books, key: tuple[str, str], values: Mapping[str, Any]) -> None:
    books.store.commit(Write("events", key, set=values))
