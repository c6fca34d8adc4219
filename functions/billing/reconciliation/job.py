"""Defines a run of the reconciliation.

That is its inputs and limits, and the place at which the next run continues.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from billing.books import Books
from billing.reconciliation.comparison import Comparison
from billing.storage.writes import Write
from billing.stripe_api.client import Gateway

DAY_SECONDS: Final = 24 * 3600
OLDER_SECONDS: Final[Mapping[str, int]] = {
    "sessions": 0,
    "intents": 0,
    "refunds": 60 * DAY_SECONDS,
    "disputes": 180 * DAY_SECONDS,
}
"""How much further back the objects of each list are compared, because old
ones can change.

A refund can fail after weeks (https://docs.stripe.com/refunds#failed-refunds),
a dispute takes two to three months
(https://docs.stripe.com/disputes/how-disputes-work).
"""
PHASES: Final = (*OLDER_SECONDS, "ours")
CURSORS: Final = {
    True: ("reconcile", "cursor"),
    False: ("reconcile", "cursor_dry"),
}
"""The table keys of the stored cursors. A dry run has its own, because it must
not make a repair skip pages.
"""
LAST: Final = ("reconcile", "last")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place at which the next run of the reconciliation continues.

    ``phase`` is the list at Stripe, and ``after`` the last object that was
    compared.
    """

    since: int
    phase: str = PHASES[0]
    after: Any = ""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of the reconciliation needs, and its limits.

    ``go_on`` is called before every page, ``has_time`` before every object.
    With ``resumes``, the next run continues where this one stopped. ``failed``
    is called with the name of an object or list that could not be compared,
    while its exception is handled.
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
        """Return a Comparison with this run's tables and Stripe client.

        Like the run, it writes only if ``repair`` is true.
        """
        return Comparison(self.books, self.gateway, self.repair)


def read_cursor(job: Run) -> Cursor | None:
    """Return the place at which an earlier run stopped.

    Returns None if the last run compared everything.
    """
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


def keep_cursor(job: Run, cursor: Cursor | None) -> None:
    """Store ``cursor``, the place at which the next run continues.

    If it is None, all was compared, and the stored place is deleted. Nothing
    is written in a run without ``job.resumes``.
    """
    if not job.resumes:
        return
    job.books.store.deadline.begin()
    if cursor is None:
        job.books.store.commit(
            Write("events", CURSORS[job.repair], delete=True)
        )
    else:
        note_values(job.books, CURSORS[job.repair], asdict(cursor))


def note_values(
    books: Books, key: tuple[str, str], values: Mapping[str, Any]
) -> None:
    """Store values that the next reconciliation or an operator needs.

    ``values`` go to the row with this key in the table of events. The row is
    either the place where the next run continues, or a note of when the last
    complete run finished and what it found.
    """
    books.store.commit(Write("events", key, set=values))
