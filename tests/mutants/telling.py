"""Bugs in events out: told twice, never, out of order, to the wrong place."""

from typing import Final

from .bug import bug

LOST: Final = "notices/test_rows.py::test_a_lost_answer_leaves_one_event_for_one_effect"
COMMIT: Final = "books.store.commit(*transaction.writes(books, fact, basis, change))"


def _in_two(order: str) -> str:
    """Commit the events apart: ``!=`` after everything else, ``==`` before it."""
    return (
        "[books.store.commit(*part) for all_ in"
        " [list(transaction.writes(books, fact, basis, change))]"
        f" for part in ([one for one in all_ if (one.table == 'notices') {order} True],"
        f" [one for one in all_ if (one.table != 'notices') {order} True]) if part]"
    )


TELLING: Final = (
    bug(
        "an event is written after the effect that it tells",
        LOST,
        ("settlement/settlement.py", COMMIT, _in_two("!=")),
    ),
    bug(
        "an event is written before the effect that it tells",
        LOST,
        ("settlement/settlement.py", COMMIT, _in_two("==")),
    ),
    bug(
        "concurrent effects take the same number of an account's sequence",
        "notices/test_rows.py::test_a_refusal_writes_no_event",
        ("notices/notice.py", "(*write.must, _last_told_is(account.told))", "write.must"),
    ),
    bug(
        "an event is delivered again under another id",
        "notices/test_delivery.py::test_a_failed_try_is_repeated_under_the_same_id",
        ("notices/rows.py", "self.id", 'f"{self.id}{self.attempts}"'),
    ),
    bug(
        "what a hold gives back is told as a recovery",
        "notices/test_crossings.py"
        "::test_recovered_is_told_once_after_low_and_only_when_units_come_in",
        (
            "notices/crossings.py",
            "comes_in and move.before < low_at <= move.after",
            "move.before < low_at <= move.after",
        ),
    ),
    bug(
        "two runs try the same event at the same time",
        "notices/test_delivery.py::test_concurrent_runs_try_once",
        (
            "notices/delivery.py",
            '(*_as_claimed(row, row.attempts), equals("state", "pending"))',
            '(equals("state", "pending"),)',
        ),
    ),
    bug(
        "a try that was under way ends an event that was sent again",
        "notices/test_delivery.py::test_a_try_that_was_under_way_does_not_end_what_was_sent_again",
        (
            "notices/delivery.py",
            'equals("attempts", attempts), equals("since", row.since)',
            '(equals("attempts", attempts),)',
        ),
    ),
    bug(
        "a refund that fails is not told",
        "notices/test_rows.py::test_a_refund_that_fails_is_told_as_the_refund_was",
        (
            "settlement/telling.py",
            "before.reversals.returned_minor != after.reversals.returned_minor",
            "before.reversals.returned_minor < after.reversals.returned_minor",
        ),
    ),
    bug(
        "an event is given up before its 72 hours are over",
        "notices/test_delivery.py::test_a_receiver_that_is_down_for_three_days_gets_it_then",
        (
            "notices/delivery.py",
            "later = min(later, max(end, now + PAUSE_FIRST_SECONDS))",
            "later = later",
        ),
        ("notices/delivery.py", "begun < row.since + WINDOW_SECONDS", "begun < row.since + 3600"),
    ),
    bug(
        "only the first address of a name is checked",
        "notices/test_addresses.py::test_a_name_of_a_private_address_is_refused",
        (
            "notices/address.py",
            "for number in numbers:\n    ...",
            "for number in numbers[:1]:\n    ...",
        ),
    ),
    bug(
        "a slow drip holds a try for as long as it likes",
        "notices/test_hostile_receivers.py::test_a_try_ends_in_time_whatever_the_receiver_does",
        ("notices/http_post.py", "timer.start()", "pass"),
    ),
)
