"""Bugs in lots, in grants and in the welcome."""

from typing import Final

from .bug import bug

LOTS: Final = "lots/test_burning.py::"
GRANTS: Final = "../functional/test_grants.py::"
BURNING: Final = "lots/burning.py"

GIVING: Final = (
    bug(
        "units expire only when the sweep has passed",
        LOTS + "test_from_the_second_of_its_expiry_a_unit_is_neither_shown_nor_spent",
        ("quota/lot_expiry.py", "gone = burning.expire(holdings.lots, now).units", "gone = 0"),
    ),
    bug(
        "the units that live longest burn first",
        LOTS + "test_units_burn_soonest_expiry_first_granted_before_bought_and_never_expiring_last",
        (
            "lots/lot.py",
            "expiry = self.expires_at or NEVER",
            "expiry = NEVER - (self.expires_at or NEVER)",
        ),
    ),
    bug(
        "a refund after the expiry makes debt",
        LOTS + "test_what_expired_counts_as_taken_back_so_that_expiry_makes_no_debt",
        (BURNING, "min(max(0, units - own_free), max(0, expired - counted))", "0"),
    ),
    bug(
        "a hold gives expired units back to be spent",
        LOTS + "test_units_in_an_open_hold_stay_with_it_and_what_it_gives_back_expires_then",
        (BURNING, "n and by_key[key].has_expired(now_epoch)", "False"),
    ),
    bug(
        "what expired leaves what remains, and stays in the total",
        LOTS + "test_from_the_second_of_its_expiry_a_unit_is_neither_shown_nor_spent",
        (
            "quota/lot_expiry.py",
            '{"total": -gone.units, "remaining": -gone.units}',
            '{"remaining": -gone.units}',
        ),
    ),
    bug(
        "the welcome is counted outside the transaction that gives it",
        "grants/test_welcome.py::test_a_welcome_that_was_not_given_is_not_counted",
        (
            "grants/welcome.py",
            "book(books, _grant(books, user_id, welcome), (_count(books, welcome),))",
            (
                "books.store.commit(_count(books, welcome))\n"
                "book(books, _grant(books, user_id, welcome))"
            ),
        ),
    ),
    bug(
        "a token that spends gives units",
        GRANTS + "test_a_grant_needs_a_key_and_its_own_scope",
        (
            "api/request.py",
            'GRANT_SCOPE: Final = "quota.grant"',
            'GRANT_SCOPE: Final = "quota.write"',
        ),
    ),
    bug(
        "one customer more than daily_max is welcomed",
        GRANTS + "test_no_more_than_daily_max_are_welcomed_and_none_is_used_up",
        ("grants/welcome.py", 'absent_or("given", "<", ...)', 'absent_or("given", "<=", ...)'),
    ),
)
