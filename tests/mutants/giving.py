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
        (
            "expiry/present.py",
            "gone = burning.expire(lots, now_epoch)",
            "gone = burning.Burned(lots, {})",
        ),
    ),
    bug(
        "expired units are spent until the sweep has passed",
        "lots/test_calls.py::test_a_lot_that_expired_is_no_way_to_be_refused_what_remains",
        (
            "spending/taking.py",
            'no_lot_is_due = absent_or("lots_due", ">", epoch(now))',
            'no_lot_is_due = absent_or("lots_due", ">", 0)',
        ),
        (
            "expiry/lot_expiry.py",
            "return 0 < balance.lots_due <= now_epoch",
            "return False",
        ),
    ),
    bug(
        "a lot that expires takes its units off twice",
        "lots/test_races.py::test_two_containers_let_go_of_a_lot_once",
        (
            "expiry/lot_expiry.py",
            'return (equals("lots_due", balance.lots_due), same_use, *enough)',
            "return ()",
        ),
        ("quota/lot_changes.py", "(same_lots(before.balance),)", "()"),
        (
            "lots/lot.py",
            'unchanged = (equals("free", before.free), equals("held", before.held))',
            "unchanged = ()",
        ),
    ),
    bug(
        "a capture uses the units that live longest first",
        "lots/test_races.py::test_a_capture_takes_the_soonest_expiring_units_first",
        (
            BURNING,
            "used = _from_first(sorted(parts.items()), captured)",
            "used = _from_first(sorted(parts.items(), reverse=True), captured)",
        ),
    ),
    bug(
        "a lot is told to expire each minute",
        "lots/test_lot_events.py::"
        "test_units_are_told_to_expire_seven_days_and_one_day_before_once_each",
        (
            "account/lot_reminders.py",
            "replace(lot, reminded=lot.reminders_past(epoch(now))) if lot.key in told else lot",
            "lot",
        ),
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
            "expiry/lot_expiry.py",
            '{"total": -gone.units, "remaining": -gone.units}',
            '{"remaining": -gone.units}',
        ),
    ),
    bug(
        "the welcome is counted outside the transaction that gives it",
        "grants/test_welcome.py::test_a_welcome_that_was_not_given_is_not_counted",
        (
            "grants/welcome.py",
            "booked = book(books, grant, (counted,))",
            "books.store.commit(counted)\nbooked = book(books, grant)",
        ),
    ),
    bug(
        "both of two concurrent welcomes are answered as new",
        "grants/test_welcomes_that_meet.py"
        "::test_a_welcome_that_is_asked_for_twice_at_once_is_given_once",
        ("grants/welcome.py", 'is_new = booked["status"] == "granted"', "is_new = True"),
    ),
    bug(
        "a token that spends gives units",
        GRANTS + "test_a_grant_needs_a_key_and_its_own_scope",
        (
            "api/scopes.py",
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
