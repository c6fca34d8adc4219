"""Bugs in settling and parking: conditions of the writes, and what is written together."""

from typing import Final

from .bug import bug

SETTLEMENT: Final = "settlement/settlement.py"
COMMIT: Final = "books.store.commit(*_writes(books, fact, view, decision))"
RESTORED: Final = (
    "settlement/test_settlement.py"
    "::test_a_session_is_credited_once_though_its_payment_was_restored_to_before"
)
ATOMIC: Final = "settlement/test_settlement.py::test_settling_is_atomic_wherever_it_dies"
DEBT: Final = (
    "settlement/test_settlement.py"
    "::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it"
)
AHEAD: Final = (
    "settlement/test_settlement.py"
    "::test_a_refund_ahead_of_its_payment_is_kept_and_applied_when_that_comes"
)

SETTLING: Final = (
    bug(
        "the only guard of a credit is the event's id",
        "settlement/test_settlement.py::test_one_session_under_two_event_ids_is_credited_once",
        ("settlement/payment_row.py", 'Must("phase", "<", int(after.phase))', 'exists("owner")'),
        ("settlement/payment_row.py", 'equals("version", after.version - 1)', 'exists("owner")'),
        ("payments/deciding.py", "payment.phase >= phase", "payment.phase > phase"),
        (
            "quota/ledger.py",
            'creates("ledger", (self.user_id, self.entry_id), ...)',
            'Write("ledger", (self.user_id, self.entry_id), set=...)',
        ),
    ),
    bug(
        "the ledger is keyed by the time and not by the session",
        RESTORED,
        (
            "settlement/transaction.py",
            "cause = ledger.funded_id(payment.funding_id)",
            "cause = ledger.funded_id(now)",
        ),
    ),
    bug(
        "quota and payment are two transactions",
        ATOMIC,
        (
            "settlement/settlement.py",
            "books.store.commit(*transaction.writes(books, fact, basis, change))",
            (
                "[books.store.commit(*part) for all_ in"
                " [list(transaction.writes(books, fact, basis, change))]"
                " for part in (all_[:1], all_[1:])]"
            ),
        ),
    ),
    bug(
        "what a delivery claims is not checked against the record when it is written",
        "settlement/test_settlement.py::test_a_session_at_another_price_is_parked_for_an_operator",
        ("settlement/payment_row.py", '("plan", "quota", "amount_minor", "currency")', "()"),
    ),
    bug(
        "a payment is read, then written without a condition on its version",
        (
            "settlement/test_settlement.py::test_two_concurrent_events_that_move_no_units_are_both_recorde"
            "d"
        ),
        ("settlement/payment_row.py", 'equals("version", after.version - 1)', 'exists("owner")'),
    ),
    bug(
        "an expiry overwrites a completed payment, for the write has no condition on the phase",
        "settlement/test_settlement.py::test_a_late_event_undoes_no_purchase",
        ("settlement/payment_row.py", 'Must("phase", "<", int(after.phase))', 'exists("owner")'),
    ),
    bug(
        "running out of time is answered as recorded",
        (
            "settlement/test_settlement.py::test_an_unknown_outcome_is_reported_and_not_taken_for_succes"
            "s"
        ),
        (
            SETTLEMENT,
            "message = ...\nraise OutcomeUnknownError(message)",
            'return Outcome("recorded", None)',
        ),
    ),
    bug(
        "what is written off is judged by what was held a moment ago",
        "settlement/test_settlement.py"
        "::test_a_refund_knows_the_account_as_it_is_when_it_is_written_off",
        ("quota/movement.py", '(*must, exactly("held", balance.held))', "must"),
    ),
    bug(
        "the next purchase does not pay the debt",
        DEBT,
        ("quota/movement.py", "min(balance.debt, units)", "0"),
    ),
    bug(
        "a purchase has no condition on the debt",
        DEBT,
        ("quota/movement.py", '(absent_or("debt", "==", 0),)', "()"),
    ),
    bug(
        "a clawback takes the balance below zero",
        DEBT,
        (
            "quota/movement.py",
            "balance.remaining >= units",
            "units",
        ),
        ("quota/movement.py", '(Must("remaining", ">=", units),)', "()"),
    ),
    bug(
        "an event that cannot be applied is answered as parked and forgotten",
        AHEAD,
        ("settlement/settlement.py", "parking.park(books, fact, park)", "park.kind"),
    ),
    bug(
        "a purchase does not look for the events that wait for it",
        AHEAD,
        ("payments/references.py", '(waits, absent("aside"))', '(absent("aside"),)'),
    ),
    bug(
        "an event is parked in DynamoDB alone",
        "settlement/test_settlement.py::test_an_event_is_in_the_queue_before_anything_else_can_fail",
        ("parked/parking.py", "books.outbox.keep(fact)", "None"),
    ),
    bug(
        "a purchase is credited though its refund was dropped concurrently",
        (
            "parked/test_parking.py::test_a_refund_that_goes_once_more_before_the_credit_comes_back_once_mor"
            "e"
        ),
        ("payments/references.py", '(waits, absent("aside"))', "(waits,)"),
    ),
    bug(
        "a refund is dropped though its purchase was credited a moment ago",
        (
            "parked/test_parking.py::test_a_purchase_that_is_credited_at_that_moment_keeps_its_refun"
            "d"
        ),
        (
            "payments/references.py",
            (
                'Write(*_row(intent), add={"waiting": gone, "aside": gone},'
                ' must=(absent("payment_id"),))'
            ),
            'Write(*_row(intent), add={"waiting": gone, "aside": gone})',
        ),
    ),
    bug(
        "a record that was resolved concurrently comes back when its reason changes",
        (
            "test_events_that_move_nothing.py::test_a_record_that_was_resolved_in_the_moment_of_a_change_leaves_no_ghos"
            "t"
        ),
        (
            "parked/parking.py",
            'Write("events", key, set=changed, must=(same,))',
            'Write("events", key, set=changed)',
        ),
    ),
    bug(
        "a record that was resolved concurrently comes back when it is put off",
        "test_events_that_move_nothing.py"
        "::test_a_record_that_was_resolved_in_the_moment_of_a_change_leaves_no_ghost",
        ("parked/retries.py", '(equals("tries", parked.tries),)', "()"),
    ),
)
