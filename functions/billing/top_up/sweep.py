"""Finds the accounts whose automatic charge is due, and runs each.

A failure of one does not stop the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from billing.books import Books
from billing.clock import epoch
from billing.errors import AwsRefusedError, BillingError, RetryableError
from billing.stripe_api.outcomes import StripeServerError
from billing.top_up import runner
from billing.top_up.job import Job

PAGES_MAX: Final = 20
STAYS_DUE: Final = (
    RetryableError,
    AwsRefusedError,
    BillingError,
    StripeServerError,
)
"""After these errors the next sweep runs the account's charge again."""
Outcome = Literal["done", "failed"]
Failed = Callable[[str, Exception], None]


def run_all(
    job: Job,
    users: Iterable[str],
    go_on: Callable[[], bool],
    failed: Failed = lambda *_: None,
) -> Counter[Outcome]:
    """Run the automatic charge of each account while ``go_on()`` is true.

    Returns how many were done and how many failed. ``failed`` is called with
    the user and the error of each that failed. The next sweep runs these
    again.
    """
    outcomes: Counter[Outcome] = Counter()
    for user_id in users:
        if not go_on():
            break
        job.books.store.deadline.begin()
        try:
            runner.run(job, user_id)
            outcomes["done"] += 1
        except STAYS_DUE as error:
            failed(user_id, error)
            outcomes["failed"] += 1
    return outcomes


def due(books: Books) -> Iterator[str]:
    """Yield the users whose automatic charge is due, longest due first.

    At most PAGES_MAX pages are read.
    """
    after = None
    for _ in range(PAGES_MAX):
        books.store.deadline.begin()
        page = books.store.due_top_ups(epoch(books.clock()), after)
        for key in page.items:
            yield str(key["user_id"])
        if (after := page.after) is None:
            return
