"""Bugs in what repairs the books afterwards: recovery and reconciliation."""

from typing import Final

from .bug import bug

RETRY: Final = "reconciliation/retry_parked.py"
STOPPED: Final = (
    "reconciliation/test_compare.py"
    "::test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled"
)

RECOVERING: Final = (
    bug(
        "an event whose outcome is unknown is no longer parked",
        "reconciliation/test_compare.py::test_a_retry_that_ends_unknown_keeps_the_record",
        (RETRY, "failed(record, error)", "parking.resolve(books, record)"),
    ),
    bug(
        "a refund is dropped because its purchase waits for an operator",
        "parked/test_parking.py::test_a_refund_waits_until_an_operator_has_decided",
        (
            "reconciliation/retry_parked.py",
            'outcome.status == "parked" and parking.is_dropped(books, purchase)',
            'outcome.status == "parked"',
        ),
    ),
    bug(
        "a lost record is rebuilt at any price",
        "reconciliation/test_compare.py::test_a_payments_record_that_was_lost_is_rebuilt_and_credited_once",
        (
            "reconciliation/lost_payments.py",
            "if (plan.quota, plan.amount_minor, plan.currency) != claimed:\n    ...",
            "plan = replace(plan, quota=fact.quota, amount_minor=fact.amount_subtotal)",
        ),
    ),
    bug(
        "a dry run repairs",
        "reconciliation/test_compare.py::test_a_dry_run_touches_nothing",
        ("reconciliation/comparison.py", "by.repair and _settle(by, fact)", "_settle(by, fact)"),
    ),
    bug(
        "reconciliation reads the first page alone",
        STOPPED,
        ("reconciliation/pages.py", 'is_stopped or page["has_more"]', "is_stopped"),
    ),
    bug(
        "reconciliation believes its index, which may be stale, and not the record",
        "reconciliation/test_compare.py"
        "::test_the_index_of_what_was_not_seen_is_believed_in_nothing",
        ("reconciliation/pages.py", '"unseen" in item', '"unseen" in row'),
    ),
    bug(
        "a reconciliation in which something failed ends as if nothing had",
        "test_reconcile.py::test_a_row_that_fails_keeps_no_other_from_being_credited",
        (
            "../reconcile.py",
            "if report.failed:\n    raise IncompleteReconciliationError(report)",
            "pass",
        ),
    ),
)
