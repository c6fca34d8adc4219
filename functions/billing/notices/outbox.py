"""Delivers many events to the seller concurrently.

So a slow receiver delays no other event.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from billing.books import Books
from billing.errors import AwsRefusedError, RetryableError
from billing.notices import delivery
from billing.notices.delivery import Outcome, Way
from billing.notices.rows import Row
from billing.storage.writes import KEY_NAMES

AT_ONCE: Final = 50
"""How many events are delivered in parallel. Each has a thread, which mostly
waits for the receiver.
"""
Report = Callable[[Row, Outcome | Exception], None]


def deliver_all(
    books: Books, ways: Mapping[str, Way], rows: Iterable[Row], report: Report
) -> Counter[str]:
    """Deliver the events in ``rows`` in parallel.

    Returns how many events had each outcome. ``ways`` are the functions that
    send to a receiver, by its name. ``report`` is called with each event and
    its outcome, or the exception if it could not be tried.
    """
    outcomes: Counter[str] = Counter()

    def deliver(row: Row) -> tuple[Row, Outcome | Exception]:
        try:
            return row, delivery.deliver(books, ways, row)
        except (RetryableError, AwsRefusedError) as error:
            return row, error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for row, outcome in pool.map(deliver, rows):
            report(row, outcome)
            name = outcome if isinstance(outcome, str) else "not_tried"
            outcomes[name] += 1
    return outcomes


def sweep(
    books: Books,
    ways: Mapping[str, Way],
    go_on: Callable[[], bool],
    report: Report,
) -> Counter[str]:
    """Deliver the events to the seller whose next try is due.

    It goes on batch by batch while ``go_on()`` is true. Returns how many
    events had each outcome. ``ways`` are the functions that send to a
    receiver, by its name. ``report`` is called with each event and its outcome
    or exception.
    """
    outcomes: Counter[str] = Counter()
    due = find_due(books)
    while go_on():
        books.store.deadline.begin()
        batch = list(islice(due, AT_ONCE))
        if not batch:
            break
        books.store.deadline.begin()
        outcomes += deliver_all(books, ways, batch, report)
    return outcomes


def find_due(books: Books) -> Iterator[Row]:
    """Yield the events to the seller that must be sent now, the oldest first.

    They are those of all accounts that are not delivered and whose time for
    the next try has come.
    """
    owner, name = KEY_NAMES["notices"]
    now = int(books.clock().timestamp())
    after = None
    while True:
        page = books.store.due_notices(now, after)
        for key in page.items:
            if row := delivery.find_due(books, (key[owner], key[name])):
                yield row
        after = page.after
        if after is None:
            return
