"""Compares one page of Stripe's objects with our payments, or the reverse.

The objects are for example Checkout Sessions or refunds. An object or a list
that cannot be compared does not stop the others.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from billing.clock import from_epoch
from billing.errors import Item, SettingsError
from billing.payments.payment import Payment
from billing.reconciliation import compare, compare_reversals
from billing.reconciliation.job import OLDER_SECONDS, PHASES, Cursor, Run
from billing.reconciliation.report import Difference, Report
from billing.stripe_api.outcomes import TO_A_BUYER

INDEX_KEYS: Final = ("owner", "id", "unseen", "completed_at")
FAILED_IN_A_ROW_MAX: Final = 10
"""How many objects of a page may fail in a row before the run ends. A few
failures may concern one customer. After ten, Stripe or DynamoDB must be
failing, and each further object would take up to 14 s: all ten take less
than half of a run's time (tests/repo computes the sum). The next run
continues after them.
"""


def look_at_page(job: Run, cursor: Cursor, report: Report) -> Cursor | None:
    """Compare one page of a list, at Stripe or our own, from ``cursor`` on.

    Returns where to continue, or None after the last list. If the list itself
    cannot be read, for example because Stripe's secret key has no permission,
    the next list follows. The next run starts the failed list again.
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
    """Compare one page of objects at Stripe with our tables.

    They are Checkout Sessions, payment intents, refunds or disputes, as
    ``cursor`` says. What differs is added to ``report``. Returns the cursor
    at which to continue, or None after the last page of the last list.
    """
    lister, look = {
        "sessions": (job.gateway.sessions, compare.look_at_purchase),
        "intents": (job.gateway.payment_intents, compare.look_at_intent),
        "refunds": (job.gateway.refunds, compare_reversals.look_at_refund),
        "disputes": (job.gateway.disputes, compare_reversals.look_at_dispute),
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
    """Compare one page of the payments that only our tables show as paid.

    Stripe's lists were compared before, and did not have these payments. So
    Stripe is asked for each one by its id. Returns where to continue, or None
    after the last page.
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
    """Call ``look`` with each row until ``job.has_time()`` is false.

    Returns the last row that was looked at, after which the next run
    continues, and whether rows are left. A row for which ``look`` fails is
    reported and passed over. It is compared again when a later run starts at
    the first page again. FAILED_IN_A_ROW_MAX failures in a row end the run.
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
    """Report that an object or a list could not be compared.

    ``name`` is the object's id, or says which list it is. ``row`` is the row
    of the object, or None for a list. The error may be Stripe's, AWS's or our
    own.
    """
    job.failed(name)
    why = f"{name} was not compared: {type(error).__name__}: {error}".removesuffix(
        TO_A_BUYER
    )
    is_ours = row is not None and "unseen" in row
    payment_id = name if is_ours else ""
    stripe_id = name if row is not None and not is_ours else ""
    report.add(Difference("failed", stripe_id, payment_id, why))
