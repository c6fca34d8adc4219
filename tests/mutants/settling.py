"""Bugs in settling and parking: guards, marks, and what is written together."""

from typing import Final

from .bug import bug

SETTLING: Final = (
    bug(
        "the only guard of a credit is the event's id",
        "payments/test_settlement.py::test_one_session_under_two_event_ids_is_credited_once",
        (
            "payments/settlement.py",
            'must=tuple(_assumptions(fact, after)) if view.assumed else (equals("version", after.version - 1),)',
            "must=()",
        ),
        (
            "quota/ledger.py",
            'return creates("ledger", (self.user_id, self.entry_id), {',
            'return Write("ledger", (self.user_id, self.entry_id), set={',
        ),
        (
            "payments/settlement.py",
            "(payment.payment_id, fact.fact_id), set=mark)",
            '(payment.payment_id, fact.fact_id), set=mark, must=(absent("subject"),))',
        ),
    ),
    bug(
        "the ledger is keyed by the event and not by the session",
        "payments/test_settlement.py::test_a_session_is_credited_once_though_its_payment_was_restored_to_before",
        (
            "payments/settlement.py",
            "ledger.funded_id(payment.session_id) if",
            "ledger.funded_id(fact.fact_id) if",
        ),
    ),
    bug(
        "the ledger is keyed by the time and not by the cause",
        "payments/test_settlement.py::test_a_session_is_credited_once_though_its_payment_was_restored_to_before",
        (
            "payments/settlement.py",
            "ledger.funded_id(payment.session_id) if",
            "ledger.funded_id(payment.completed_at) if",
        ),
    ),
    bug(
        "a ledger entry can be written over",
        "payments/test_settlement.py::test_a_session_is_credited_once_though_its_payment_was_restored_to_before",
        (
            "quota/ledger.py",
            'return creates("ledger", (self.user_id, self.entry_id), {',
            'return Write("ledger", (self.user_id, self.entry_id), set={',
        ),
    ),
    bug(
        "a restored payment's reversal is booked beside the one that the ledger has",
        "payments/test_settlement.py::test_a_refund_takes_back_once_though_its_payment_was_restored_to_before",
        (
            "quota/ledger.py",
            'return f"reversal:{payment.payment_id}:{payment.movements}"',
            'return f"reversal:{payment.payment_id}:{hash(str(payment.reversals))}"',
        ),
    ),
    bug(
        "a restored payment that the ledger has funded is not caught up",
        "payments/test_settlement.py::test_a_session_is_credited_once_though_its_payment_was_restored_to_before",
        (
            "payments/settlement.py",
            "return fresh if 0 in refused.old else _caught_up(books, fact, fresh)",
            "return fresh",
        ),
    ),
    bug(
        "the mark is written before the effect",
        "payments/test_settlement.py::test_wherever_settling_dies_all_of_it_stands_or_none",
        (
            "payments/settlement.py",
            "books.store.commit(*_writes(books, fact, view, decision))",
            "*effect, seen = _writes(books, fact, view, decision); books.store.commit(seen); books.store.commit(*effect)",
        ),
    ),
    bug(
        "the mark is written after the effect, in a second transaction",
        "payments/test_settlement.py::test_wherever_settling_dies_all_of_it_stands_or_none",
        (
            "payments/settlement.py",
            "books.store.commit(*_writes(books, fact, view, decision))",
            "*effect, seen = _writes(books, fact, view, decision); books.store.commit(*effect); books.store.commit(seen)",
        ),
    ),
    bug(
        "quota and payment are two transactions",
        "payments/test_settlement.py::test_wherever_settling_dies_all_of_it_stands_or_none",
        (
            "payments/settlement.py",
            "books.store.commit(*_writes(books, fact, view, decision))",
            "first, *rest = _writes(books, fact, view, decision); books.store.commit(first); books.store.commit(*rest)",
        ),
    ),
    bug(
        "what a delivery claims is not checked against the record when it is written",
        "payments/test_settlement.py::test_a_session_at_another_price_is_parked_for_a_person",
        (
            "payments/settlement.py",
            'yield from (equals(name, getattr(after, name)) for name in ("plan", "quota", "amount_minor", "currency"))',
            "return",
        ),
    ),
    bug(
        "a payment is read, then written without a look at its version",
        "payments/test_settlement.py::test_two_facts_that_move_no_units_are_both_learnt",
        ("payments/settlement.py", '(equals("version", after.version - 1),)', '(exists("owner"),)'),
    ),
    bug(
        "an expiry overwrites a completed payment, for the write does not look",
        "payments/test_settlement.py::test_what_comes_late_undoes_no_purchase",
        ("payments/settlement.py", 'yield Must("phase", "<", int(after.phase))', "yield from ()"),
    ),
    bug(
        "running out of tries is answered as recorded",
        "payments/test_settlement.py::test_a_lost_outcome_is_told_and_not_taken_for_success",
        (
            "payments/settlement.py",
            "    raise OutcomeUnknownError(message)\n\n\ndef _without_change",
            '    return Outcome("recorded", view.payment, why=message)\n\n\ndef _without_change',
        ),
    ),
    bug(
        "the units of the metadata are credited",
        "payments/test_settlement.py::test_units_are_what_our_record_says",
        (
            "payments/settlement.py",
            '("plan", "quota", "amount_minor", "currency")',
            '("plan", "amount_minor", "currency")',
        ),
    ),
    bug(
        "an account without a quota row is credited nothing, silently",
        "payments/test_settlement.py::test_a_purchase_credits_what_was_bought",
        (
            "payments/settlement.py",
            "    if change.entry:\n        yield Write(",
            "    if change.entry and (view.assumed is False or view.balance.total):\n        yield Write(",
        ),
    ),
    bug(
        "the ledger's entry is clamped at what remains",
        "payments/test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        (
            "payments/settlement.py",
            "yield _entry(payment, cause, change.entry, change.units, now).write()",
            "yield _entry(payment, cause, change.entry, max(change.units, -view.balance.remaining), now).write()",
        ),
    ),
    bug(
        "what was written off is given out again when the refund fails",
        "payments/test_settlement.py::test_written_off_units_come_back_first_when_the_refund_fails",
        (
            "payments/settlement.py",
            "back = min(change.payment.units_written_off, change.units)",
            "back = min(0, change.units)",
        ),
    ),
    bug(
        "units that a hold still promises are written off as if they were used",
        "payments/test_settlement.py::test_a_hold_is_not_touched_by_a_refund",
        ("quota/balance.py", "owed = min(short, max(0, balance.held - balance.debt))", "owed = 0"),
    ),
    bug(
        "each part of a refund owes the same held units again",
        "payments/test_settlement.py::test_parts_of_a_refund_write_off_what_a_whole_one_does",
        ("quota/balance.py", "max(0, balance.held - balance.debt)", "balance.held"),
    ),
    bug(
        "what is written off is judged by what was held a moment ago",
        "payments/test_settlement.py::test_a_refund_knows_the_account_as_it_is_when_it_is_written_off",
        ("quota/balance.py", '    must = (*must, _exactly("held", balance.held))\n', ""),
    ),
    bug(
        "a fact that cannot be applied is answered as parked and forgotten",
        "payments/test_settlement.py::test_a_refund_ahead_of_its_payment_is_kept_and_applied_when_that_comes",
        ("payments/settlement.py", "if parking.park(books, fact, decision):", "if decision.kind:"),
    ),
    bug(
        "a purchase does not look for the facts that wait for it",
        "payments/test_settlement.py::test_a_refund_ahead_of_its_payment_is_kept_and_applied_when_that_comes",
        (
            "payments/settlement.py",
            'must = (nobody_waits, absent("aside"))',
            'must = (absent("aside"),)',
        ),
    ),
    bug(
        "facts that waited for a purchase go on waiting",
        "payments/test_settlement.py::test_a_refund_ahead_of_its_payment_is_kept_and_applied_when_that_comes",
        (
            "payments/settlement.py",
            "for fact_id in sorted(view.waiting)[:WAITING_AT_ONCE_MAX]:",
            "for fact_id in ():",
        ),
    ),
    bug(
        "however many facts wait for a purchase, all are settled with it",
        "payments/test_settlement.py::test_a_purchase_for_which_many_facts_wait_is_settled_within_bounds",
        (
            "payments/settlement.py",
            "sorted(view.waiting)[:WAITING_AT_ONCE_MAX]",
            "sorted(view.waiting)",
        ),
    ),
    bug(
        "an unknown outcome of what waited is told of the purchase",
        "payments/test_settlement.py::test_an_unknown_outcome_of_what_waited_does_not_touch_the_purchase",
        (
            "payments/settlement.py",
            "with suppress(RetryableError):",
            "with suppress(ZeroDivisionError):",
        ),
    ),
    bug(
        "nobody is told that a parked fact waits for a person by now",
        "payments/test_settlement.py::test_a_fact_that_waits_for_a_person_by_now_says_so",
        ("payments/parking.py", "        _wait_for(books, fact, record, refused.old[0])\n", ""),
    ),
    bug(
        "the parked record is deleted before its fact is applied",
        "payments/test_settlement.py::test_wherever_a_retry_dies_the_parked_fact_is_applied_in_the_end",
        (
            "payments/settlement.py",
            "    outcome = apply(books, record.fact)\n",
            "    parking.resolve(books, record)\n    outcome = apply(books, record.fact)\n",
        ),
    ),
    bug(
        "a fact is parked in DynamoDB alone",
        "payments/test_settlement.py::test_a_fact_is_in_the_queue_before_anything_else_can_fail",
        ("payments/parking.py", "    books.outbox.keep(fact)\n", ""),
    ),
)
