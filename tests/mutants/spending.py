"""Bugs in spending: debits, holds, their expiry, daily use and keys."""

from typing import Final

from .bug import bug

API_KEYS: Final = "keys/api_keys.py"
DEBITS: Final = "spending/debits.py"
EXPIRY: Final = "expiry/hold_expiry.py"
HOLDS: Final = "holds/closing.py"
TAKING: Final = "spending/taking.py"
AFTER_EXPIRY: Final = "(*expired.account.must, {}day_has_begun(now), *of_key.must, *taking.clauses)"
ONCE: Final = "books.store.commit_once(*writes, clears_up=False)"
CLOSING_CONDITIONS: Final = (
    (EXPIRY, '(exists("user_id"), equals("units", row["units"]))', "()"),
    (
        EXPIRY,
        'creates("quotas", (user_id, item.replace("hold#", "closed#", 1)), closed)',
        'Write("quotas", (user_id, item.replace("hold#", "closed#", 1)), set=closed)',
    ),
)

SPENDING: Final = (
    bug(
        "a debit has no condition on what remains",
        "spending/test_taking.py::test_more_than_remains_is_not_taken",
        (TAKING, 'Must("remaining", ">=", units)', "day_has_begun(now)"),
    ),
    bug(
        "a keyed debit overwrites the answer of the first",
        "spending/test_debits.py::test_a_keyed_debit_is_taken_once_and_its_answer_kept",
        ("spending/debits.py", 'creates("quotas", row, kept)', 'Write("quotas", row, set=kept)'),
        (
            "spending/debits.py",
            "from billing.storage.writes import creates",
            "from billing.storage.writes import Write",
        ),
    ),
    bug(
        "a key with another body replays the first answer",
        "spending/test_debits.py::test_a_key_with_another_body_is_a_conflict",
        ("spending/debits.py", 'used.item["body"] != body', "False"),
    ),
    bug(
        "more is captured than was held",
        "holds/test_holds.py::test_no_more_is_captured_than_was_held",
        (HOLDS, 'units > row["units"]', 'units > row["units"] + balance.remaining'),
    ),
    bug(
        "a hold is released without a condition that it is still open",
        "holds/test_holds.py::test_two_concurrent_releases_release_once",
        *CLOSING_CONDITIONS,
    ),
    bug(
        "a hold is captured after its time",
        "holds/test_holds.py::test_an_expired_hold_is_not_captured",
        (HOLDS, 'row["expires_at"] <= epoch(now)', 'row["expires_at"] <= 0'),
    ),
    bug(
        "units are taken while a hold has expired",
        "expiry/test_hold_expiry.py::test_the_answer_counts_the_released_units",
        (TAKING, 'absent_or("holds_due", ">", epoch(now))', "day_has_begun(now)"),
    ),
    bug(
        "a debit after an expiry has no condition on what remained",
        "expiry/test_hold_expiry.py::test_a_debit_by_a_clock_behind_an_expiry_oversells_nothing",
        (
            "spending/release.py",
            AFTER_EXPIRY.format("same_remaining, "),
            AFTER_EXPIRY.format(""),
        ),
    ),
    bug(
        "two concurrent requests release the same expired hold",
        "expiry/test_hold_expiry.py::test_concurrent_expiry_releases_a_hold_once",
        (
            "expiry/hold_expiry.py",
            (
                '(equals("holds_due", seen.holds_due), equals("holds_placed",'
                " seen.holds_placed), *movement.must, *of_keys.must)"
            ),
            "movement.must",
        ),
        (
            "spending/release.py",
            AFTER_EXPIRY.format("same_remaining, "),
            AFTER_EXPIRY.format(""),
        ),
        *CLOSING_CONDITIONS,
    ),
    bug(
        "a capture that met a conflict is tried again without a look at the clock",
        "expiry/test_hold_expiry.py::test_a_hold_is_not_closed_by_a_retry_after_its_expiry",
        (
            "holds/closing.py",
            (
                "books.store.commit_once("
                "*_closing(books, row, balance, state, units), clears_up=False)"
            ),
            "books.store.commit(*_closing(books, row, balance, state, units))",
        ),
    ),
    bug(
        "a capture that may have been done is called busy",
        "expiry/test_hold_expiry.py::test_a_capture_with_an_unknown_outcome_is_never_called_busy",
        ("holds/closing.py", "unclear = True", "unclear = False"),
    ),
    bug(
        "a day's use is itemised without its entry",
        "spending/test_taking.py::test_a_days_use_becomes_one_entry",
        ("quota/daily_usage.py", "(entry.write(),) if units else ()", "()"),
    ),
    bug(
        "anyone can revoke a key",
        "keys/test_api_keys.py::test_a_user_cannot_revoke_another_users_key",
        (
            "keys/revocation.py",
            'Write("keys", (owner, key_id), delete=True, must=(exists("owner"),))',
            'Write("keys", (owner, key_id), delete=True)',
        ),
    ),
    bug(
        "a key's number opens without its secret",
        "keys/test_api_keys.py::test_a_key_opens_its_owners_account_and_no_other",
        ("keys/holders.py", "not row or not matches", "not row"),
    ),
    bug(
        "the bound on keys is looked at before the write",
        "keys/test_api_keys.py::test_the_last_place_is_given_once_to_two_concurrent_requests",
        (
            API_KEYS,
            'has_place = Must("live", "<", LIVE_MAX)',
            'has_place = Must("live", ">=", 0)',
        ),
        (
            "keys/live_count.py",
            "return books.store.commit(*writes)",
            (
                "if not writes[0].delete and _recount(books, owner, None) >= LIVE_MAX:\n"
                "    raise _no_place()\n"
                "return books.store.commit(*writes)"
            ),
        ),
    ),
    bug(
        "a late count of keys overwrites a concurrent one",
        "keys/test_api_keys.py::test_a_count_that_is_made_late_does_not_forget_a_concurrent_key",
        (
            "keys/live_count.py",
            'equals("changes", seen["changes"]) if seen else absent("owner")',
            'equals("changes", seen["changes"]) if seen else Must("owner", "exists")',
        ),
        ("keys/live_count.py", "(unchanged,)", "()"),
    ),
)
