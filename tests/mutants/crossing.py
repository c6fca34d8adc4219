"""Bugs in the writes that cross an account's thresholds."""

from typing import Final

from .bug import bug

TESTS: Final = "spending/test_crossing_debits.py::"
TOLD: Final = TESTS + "test_whatever_takes_the_units_tells_what_it_crosses"
DEBITS: Final = "spending/debits.py"
CROSSINGS: Final = "notices/crossings.py"
COMMIT: Final = "store.commit(attempt.account, *attempt.beside)"

CROSSING: Final = (
    bug(
        "a crossing is told after the debit that crosses",
        TOLD,
        (DEBITS, COMMIT, "(store.update(attempt.account), store.commit(*attempt.beside))"),
    ),
    bug(
        "a crossing is told before the debit that crosses",
        TOLD,
        (DEBITS, COMMIT, "(store.commit(*attempt.beside), store.update(attempt.account))"),
    ),
    bug(
        "a crossing is not told by a hold",
        TOLD,
        (
            "holds/placing.py",
            (
                "books.store.commit_once("
                "change.beside(account), row, *change.rows, *attempt.beside, clears_up=True)"
            ),
            ("books.store.commit_once(change.beside(account), row, *change.rows, clears_up=True)"),
        ),
    ),
    bug(
        "a hold that comes back below the threshold arms quota.low again",
        TESTS + "test_a_holds_return_tells_nothing_and_arms_only_from_the_threshold_on",
        (
            CROSSINGS,
            "if move.goes_below(low_at): ...",
            (
                "if move.goes_below(low_at)"
                " or (move.units < 0 and move.after < low_at and not account.low_told): ..."
            ),
        ),
        (
            "holds/closing.py",
            "closing = hold_expiry.close(row, state, units, epoch(now))",
            (
                'account = account._replace(remove=("low_told",))\n'
                "closing = hold_expiry.close(row, state, units, epoch(now))"
            ),
        ),
    ),
    bug(
        "the threshold is checked before the write only",
        TESTS + "test_a_container_that_saw_the_account_low_tells_after_it_was_filled_elsewhere",
        (
            CROSSINGS,
            "must = [*move.between(low_at, 1)]",
            "must: list[Must] = []",
        ),
    ),
    bug(
        "a debit demands the floor, and not that the account is still below the next threshold",
        TESTS + "test_a_container_that_saw_the_account_low_tells_after_it_was_filled_elsewhere",
        (CROSSINGS, "if above: ...", "if above and below == above: ..."),
    ),
    bug(
        "a container takes the template's threshold for every customer's",
        TESTS + "test_a_customers_own_threshold_counts_in_a_container_that_has_not_seen_it",
        (CROSSINGS, "if units: ...", "if units > 0: ..."),
    ),
    bug(
        "what expired holds give back is not counted when a debit is judged",
        TESTS + "test_a_debit_crosses_from_what_an_expired_hold_has_lifted_swept_or_not",
        (
            "spending/attempt.py",
            "max(0, after.remaining - before.remaining)",
            "0 * after.remaining",
        ),
    ),
    bug(
        "an agreement that is made while a debit crosses is missed",
        TESTS + "test_an_agreement_that_is_made_while_a_debit_crosses_is_not_missed",
        (
            "top_up/crossing.py",
            "opened.writes or (rows.pin(seen),)",
            "opened.writes",
        ),
    ),
    bug(
        "a refund of an automatic payment opens the next charge",
        TESTS + "test_a_refund_of_an_automatic_payment_opens_none_because_it_switches_off",
        (
            "settlement/transaction.py",
            "not automatic.is_taken_back(basis.payment, payment)",
            "bool(payment)",
        ),
    ),
    bug(
        "a charge is opened by a hold's return as well",
        TESTS + "test_a_holds_return_opens_no_charge",
        (
            CROSSINGS,
            "NO_CROSSING._replace(opens=move.goes_below(when_below), must=same)",
            "NO_CROSSING._replace(opens=when_below > move.after, must=same)",
        ),
    ),
)
