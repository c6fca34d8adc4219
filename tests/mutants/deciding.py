"""Bugs in what a fact means: payments, balances, reversals, and Stripe's events."""

from typing import Final

from .bug import bug

DECIDING: Final = (
    bug(
        "an expiry overwrites a completed payment, for the decision does not look",
        "test_settlement.py::test_what_comes_late_undoes_no_purchase",
        ("payments.py", "if payment.phase >= phase:", "if payment.phase == phase:"),
    ),
    bug(
        "a decline overwrites a completed payment",
        "test_settlement.py::test_what_comes_late_undoes_no_purchase",
        ("payments.py", "    if payment.phase is Phase.PAID:\n", "    if payment.phase is Phase.FAILED:\n"),
        ("payments.py", "phase=max(payment.phase, Phase.DECLINED)", "phase=Phase.DECLINED"),
    ),
    bug(
        "a decline overwrites a payment under way",
        "test_settlement.py::test_a_late_decline_takes_no_payment_back_from_processing",
        ("payments.py", "phase=max(payment.phase, Phase.DECLINED)", "phase=Phase.DECLINED"),
    ),
    bug(
        "another amount is credited",
        "test_settlement.py::test_a_session_at_another_price_is_parked_for_a_person",
        ("payments.py", '("amount", payment.amount_minor, fact.amount_subtotal)', '("amount", payment.amount_minor, payment.amount_minor)'),
    ),
    bug(
        "another currency is credited",
        "test_settlement.py::test_a_session_at_another_price_is_parked_for_a_person",
        ("payments.py", '("currency", payment.currency, fact.currency)', '("currency", payment.currency, payment.currency)'),
    ),
    bug(
        "a discounted purchase is taken for a wrong amount",
        "test_settlement.py::test_a_discounted_purchase_is_judged_by_the_price_before_the_discount",
        ("payments.py", '("amount", payment.amount_minor, fact.amount_subtotal)', '("amount", payment.amount_minor, fact.amount_total)'),
    ),
    bug(
        "a refund is measured by the price and not by what was paid",
        "test_settlement.py::test_a_discounted_purchase_is_judged_by_the_price_before_the_discount",
        ("payments.py", "paid_minor=fact.amount_total,", "paid_minor=fact.amount_subtotal,"),
    ),
    bug(
        "money received twice is taken for a duplicate",
        "test_settlement.py::test_a_second_session_paid_for_one_payment_waits_for_a_person",
        (
            "payments.py",
            'if payment.session_id not in ("", fact.session_id):',
            "if not payment.session_id and fact.kind == payment.session_id:",
        ),
    ),
    bug(
        "the next purchase does not pay the debt",
        "test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        ("balances.py", "paid = min(balance.debt, units)", "paid = 0"),
    ),
    bug(
        "a purchase does not look whether there is debt",
        "test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        ("balances.py", 'return Movement({"remaining": units}, (absent_or("debt", "==", 0),))', 'return Movement({"remaining": units})'),
    ),
    bug(
        "used units that are clawed back are forgiven",
        "test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        (
            "balances.py",
            'return Movement({"remaining": -balance.remaining, "debt": short}, must)',
            'return Movement({"remaining": -balance.remaining}, must)',
        ),
    ),
    bug(
        "a clawback takes the balance below zero",
        "test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        (
            "balances.py",
            "    short = units - balance.remaining\n",
            '    return Movement({"remaining": -units})\n    short = units - balance.remaining\n',
        ),
    ),
    bug(
        "an unpaid session is credited",
        "test_settlement.py::test_a_session_that_is_not_paid_yet_credits_nothing",
        ("events.py", '        kind = "unpaid"\n', '        kind = "paid"\n'),
    ),
    bug(
        "a purchase that needs no money is not credited",
        "test_settlement.py::test_a_session_that_needs_no_money_is_credited",
        ("events.py", 'PAID: Final = ("paid", "no_payment_required")', 'PAID: Final = ("paid",)'),
    ),
    bug(
        "refunds are added up and not cumulative",
        "test_reversals.py::test_refunds_are_cumulative_in_whichever_order_they_come",
        ("reversals.py", "max(self.refunded_high_minor, fact.refunded_minor)", "self.refunded_high_minor + fact.refunded_minor"),
    ),
    bug(
        "the last refund event counts, not the highest figure",
        "test_reversals.py::test_refunds_are_cumulative_in_whichever_order_they_come",
        ("reversals.py", "max(self.refunded_high_minor, fact.refunded_minor)", "fact.refunded_minor"),
    ),
    bug(
        "a refund that failed goes on counting",
        "test_reversals.py::test_a_refund_that_failed_is_as_if_it_had_not_been",
        ("reversals.py", "self.refunded_high_minor - sum(self.failed.values())", "self.refunded_high_minor"),
    ),
    bug(
        "refunds and disputes take back more than was credited",
        "test_reversals.py::test_refund_and_dispute_together_take_no_more_than_was_credited",
        (
            "reversals.py",
            "out_minor = min(paid_minor, self.refunded_minor + self.disputed_minor)",
            "out_minor = self.refunded_minor + self.disputed_minor",
        ),
    ),
    bug(
        "a part of a unit is rounded by floats",
        "test_reversals.py::test_a_part_of_a_unit_stays_with_the_customer",
        ("reversals.py", "return units * out_minor // paid_minor", "return round(units / paid_minor * out_minor)"),
    ),
    bug(
        "disputed money that came back is not seen",
        "test_reversals.py::test_disputed_money_that_came_back_is_not_out",
        ("reversals.py", "-sum(self.transactions.values())", "-sum(value for value in self.transactions.values() if value < 0)"),
    ),
    bug(
        "a late dispute event undoes the transactions seen before",
        "test_reversals.py::test_an_event_without_transactions_undoes_none",
        ("reversals.py", "transactions={**known.transactions, **fact.transactions}", "transactions=fact.transactions"),
    ),
    bug(
        "a late dispute event opens a lost dispute again",
        "test_reversals.py::test_a_lost_dispute_stays_lost",
        ("reversals.py", "closed=known.closed or fact.closed", "closed=fact.closed"),
    ),
    bug(
        "a dispute's fee is taken from the customer",
        "test_reversals.py::test_a_disputes_fee_is_not_the_customers",
        ("events.py", '_signed(row, "amount") for row in rows', '_signed(row, "net") for row in rows'),
    ),
    bug(
        "cents of another currency are counted as ours",
        "test_reversals.py::test_a_dispute_settled_in_another_currency_is_scaled_to_what_was_disputed",
        ("events.py", "(abs(value) * amount // withdrawn)", "abs(value)"),
    ),
    bug(
        "an inquiry is taken for a dispute",
        "test_reversals.py::test_an_inquiry_is_no_dispute",
        ("events.py", 'opened=formal and not status.startswith("warning_")', "opened=formal"),
    ),
    bug(
        "the mode of an event is ignored",
        "test_events.py::test_an_event_of_the_other_mode_is_ignored",
        ("events.py", 'if event.get("livemode") is not ours.livemode:', 'if event.get("livemode") is None:'),
    ),
    bug(
        "the mode of a session from the API is ignored",
        "test_events.py::test_a_session_of_the_other_mode_is_ignored",
        ("events.py", 'if session.get("livemode") is not ours.livemode:', 'if session.get("livemode") is None:'),
    ),
    bug(
        "events of connected accounts are taken for ours",
        "test_events.py::test_an_event_of_a_connected_account_is_ignored",
        ("events.py", 'if event.get("account") or event.get("context"):', 'if event.get("context"):'),
    ),
    bug(
        "another stack's purchases are credited here too",
        "test_events.py::test_another_stacks_session_is_ignored",
        ("events.py", ' or metadata.get("stack", ours.stack_name) != ours.stack_name:', ":"),
    ),
    bug(
        "a complete session from the API is taken for a paid one",
        "test_events.py::test_a_session_from_the_api_says_what_its_events_would",
        ("observed.py", 'if found.get("payment_status") in PAID:', 'if status == "complete":'),
    ),
)
