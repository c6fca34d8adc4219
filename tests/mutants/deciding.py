"""Bugs in what a fact means: payments, balances, reversals, and Stripe's events."""

from typing import Final

from .bug import bug

DECIDING: Final = (
    bug(
        "random histories overlook a refund that was made again after it failed",
        "../properties/test_histories.py::test_two_thousand_histories_keep_the_laws_and_end_as_the_model_says",
        ("stripe_api/events.py", "        standing=standing,", "        standing={},"),
    ),
    bug(
        "an expiry overwrites a completed payment, for the decision does not look",
        "payments/test_settlement.py::test_what_comes_late_undoes_no_purchase",
        ("payments/payment.py", "if payment.phase >= phase:", "if payment.phase == phase:"),
    ),
    bug(
        "a decline overwrites a completed payment",
        "payments/test_settlement.py::test_what_comes_late_undoes_no_purchase",
        (
            "payments/payment.py",
            "    if payment.phase is Phase.PAID:\n        return Already",
            "    if payment.phase is Phase.FAILED:\n        return Already",
        ),
        ("payments/payment.py", "phase=max(payment.phase, Phase.DECLINED)", "phase=Phase.DECLINED"),
    ),
    bug(
        "a decline overwrites a payment under way",
        "payments/test_settlement.py::test_a_late_decline_takes_no_payment_back_from_processing",
        ("payments/payment.py", "phase=max(payment.phase, Phase.DECLINED)", "phase=Phase.DECLINED"),
    ),
    bug(
        "another amount is credited",
        "payments/test_settlement.py::test_a_session_at_another_price_is_parked_for_a_person",
        (
            "payments/payment.py",
            '("amount", payment.amount_minor, fact.amount_subtotal)',
            '("amount", payment.amount_minor, payment.amount_minor)',
        ),
    ),
    bug(
        "another currency is credited",
        "payments/test_settlement.py::test_a_session_at_another_price_is_parked_for_a_person",
        (
            "payments/payment.py",
            '("currency", payment.currency, fact.currency)',
            '("currency", payment.currency, payment.currency)',
        ),
    ),
    bug(
        "a discounted purchase is taken for a wrong amount",
        "payments/test_settlement.py::test_a_discounted_purchase_is_judged_by_the_price_before_the_discount",
        (
            "payments/payment.py",
            '("amount", payment.amount_minor, fact.amount_subtotal)',
            '("amount", payment.amount_minor, fact.amount_total)',
        ),
    ),
    bug(
        "a refund is measured by the price and not by what was paid",
        "payments/test_settlement.py::test_a_discounted_purchase_is_judged_by_the_price_before_the_discount",
        (
            "payments/payment.py",
            "paid_minor=fact.amount_total,",
            "paid_minor=fact.amount_subtotal,",
        ),
    ),
    bug(
        "money received twice is taken for a duplicate",
        "payments/test_settlement.py::test_a_second_session_paid_for_one_payment_waits_for_a_person",
        (
            "payments/payment.py",
            'return Park("paid_twice", told)',
            "return Already(duplicate=True)",
        ),
    ),
    bug(
        "the next purchase does not pay the debt",
        "payments/test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        ("quota/balance.py", "paid = min(balance.debt, units)", "paid = 0"),
    ),
    bug(
        "a purchase does not look whether there is debt",
        "payments/test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        (
            "quota/balance.py",
            'return Movement({"remaining": units}, (absent_or("debt", "==", 0),))',
            'return Movement({"remaining": units})',
        ),
    ),
    bug(
        "used units that are clawed back are forgiven",
        "payments/test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        (
            "quota/balance.py",
            'return Movement({"remaining": -balance.remaining, "debt": short}, must)',
            'return Movement({"remaining": -balance.remaining}, must)',
        ),
    ),
    bug(
        "a clawback takes the balance below zero",
        "payments/test_settlement.py::test_a_refund_of_used_units_leaves_debt_and_the_next_purchase_pays_it",
        (
            "quota/balance.py",
            "    short = units - balance.remaining\n",
            '    return Movement({"remaining": -units})\n    short = units - balance.remaining\n',
        ),
    ),
    bug(
        "an unpaid session is credited",
        "payments/test_settlement.py::test_a_session_that_is_not_paid_yet_credits_nothing",
        ("stripe_api/events.py", '        kind = "unpaid"\n', '        kind = "paid"\n'),
    ),
    bug(
        "a purchase that needs no money is not credited",
        "payments/test_settlement.py::test_a_session_that_needs_no_money_is_credited",
        (
            "stripe_api/events.py",
            'PAID: Final = ("paid", "no_payment_required")',
            'PAID: Final = ("paid",)',
        ),
    ),
    bug(
        "a payment status of tomorrow is taken for paid",
        "stripe_api/test_events.py::test_a_payment_status_that_we_do_not_know_is_not_taken_for_paid",
        (
            "stripe_api/events.py",
            'if kind == "paid" and status not in PAID:',
            'if kind == "paid" and status == "unpaid":',
        ),
    ),
    bug(
        "the buyer's own currency is taken for the session's",
        "stripe_api/test_events.py::test_the_buyers_own_currency_changes_nothing",
        (
            "stripe_api/events.py",
            'currency=_text(session, "currency")',
            'currency=(session.get("presentment_details") or {}).get("presentment_currency") or _text(session, "currency")',
        ),
    ),
    bug(
        "a refund that is updated is taken for a failed one",
        "stripe_api/test_events.py::test_a_refund_in_a_state_that_we_do_not_know_changes_nothing",
        ("stripe_api/events.py", "        elif status in GONE:", "        else:"),
    ),
    bug(
        "a refund in a state of tomorrow is taken for one that stands",
        "stripe_api/test_events.py::test_a_refund_in_a_state_that_we_do_not_know_changes_nothing",
        ("stripe_api/events.py", "in STANDING:", "not in GONE:"),
    ),
    bug(
        "a refund that waits for the customer is taken back only when it succeeds",
        "stripe_api/test_events.py::test_a_refund_that_stands_is_known_by_its_id",
        (
            "stripe_api/events.py",
            '("pending", "requires_action", "succeeded")',
            '("pending", "succeeded")',
        ),
    ),
    bug(
        "refunds made again after a failure are not known by their ids",
        "test_repeated_refunds.py::test_a_refund_made_again_is_taken_back",
        ("stripe_api/events.py", "        standing=standing,", "        standing={},"),
    ),
    bug(
        "a failed refund is subtracted from those known by their ids a second time",
        "test_repeated_refunds.py::test_a_refund_made_again_is_taken_back",
        (
            "payments/reversals.py",
            "sum(self.failed.values()), standing)",
            "sum(self.failed.values()), standing - sum(self.failed.values()))",
        ),
    ),
    bug(
        "the first decline's reason is kept",
        "payments/test_payment.py::test_the_reason_of_the_latest_decline_is_shown",
        ("payments/payment.py", "if known >= latest:", "if payment.failure_code:"),
    ),
    bug(
        "the decline that is told last is taken for the latest",
        "payments/test_payment.py::test_declines_in_any_order_end_with_the_latest_reason",
        ("payments/payment.py", "if known >= latest:", "if known == latest:"),
    ),
    bug(
        "another decline is called a duplicate",
        "payments/test_payment.py::test_a_second_decline_for_the_same_reason_is_no_duplicate",
        ("payments/payment.py", "duplicate=known == latest", "duplicate=True"),
    ),
    bug(
        "every declined card is told as card_declined",
        "payments/test_payment.py::test_the_issuers_reason_is_told_where_the_code_says_only_declined",
        ("stripe_api/events.py", "        return reason\n", "        return CARD_DECLINED\n"),
    ),
    bug(
        "a canceled refund goes on counting",
        "stripe_api/test_events.py::test_a_refund_that_failed_or_was_canceled_is_told_by_its_id",
        ("stripe_api/events.py", '("failed", "canceled")', '("failed",)'),
    ),
    bug(
        "a refund that nothing can be found by is parked for ever",
        "stripe_api/test_events.py::test_a_reversal_that_names_neither_intent_nor_charge_is_nobodys",
        (
            "stripe_api/events.py",
            "if not any((found_by := _found_by(refund)).values()):",
            "if (found_by := _found_by(refund)) is None:",
        ),
    ),
    bug(
        "refunds are added up and not cumulative",
        "payments/test_reversals.py::test_refunds_are_cumulative_in_whichever_order_they_come",
        (
            "payments/reversals.py",
            "max(self.refunded_high_minor, fact.refunded_minor)",
            "self.refunded_high_minor + fact.refunded_minor",
        ),
    ),
    bug(
        "the last refund event counts, not the highest figure",
        "payments/test_reversals.py::test_refunds_are_cumulative_in_whichever_order_they_come",
        (
            "payments/reversals.py",
            "max(self.refunded_high_minor, fact.refunded_minor)",
            "fact.refunded_minor",
        ),
    ),
    bug(
        "a refund that failed goes on counting",
        "payments/test_reversals.py::test_a_refund_that_failed_is_as_if_it_had_not_been",
        (
            "payments/reversals.py",
            "self.refunded_high_minor - sum(self.failed.values())",
            "self.refunded_high_minor",
        ),
    ),
    bug(
        "refunds and disputes take back more than was credited",
        "payments/test_reversals.py::test_refund_and_dispute_together_take_no_more_than_was_credited",
        (
            "payments/reversals.py",
            "out_minor = min(paid_minor, self.refunded_minor + self.disputed_minor)",
            "out_minor = self.refunded_minor + self.disputed_minor",
        ),
    ),
    bug(
        "a part of a unit is rounded by floats",
        "payments/test_reversals.py::test_a_part_of_a_unit_stays_with_the_customer",
        (
            "payments/reversals.py",
            "return units * out_minor // paid_minor",
            "return round(units / paid_minor * out_minor)",
        ),
    ),
    bug(
        "disputed money that came back is not seen",
        "payments/test_reversals.py::test_disputed_money_that_came_back_is_not_out",
        (
            "payments/reversals.py",
            "-sum(self.transactions.values())",
            "-sum(value for value in self.transactions.values() if value < 0)",
        ),
    ),
    bug(
        "a late dispute event undoes the transactions seen before",
        "payments/test_reversals.py::test_an_event_without_transactions_undoes_none",
        (
            "payments/reversals.py",
            "transactions={**self.transactions, **fact.transactions}",
            "transactions=fact.transactions",
        ),
    ),
    bug(
        "a late dispute event opens a lost dispute again",
        "payments/test_reversals.py::test_a_lost_dispute_stays_lost",
        (
            "payments/reversals.py",
            "closed=max(self.closed, fact.closed, key=CLOSED.index)",
            "closed=fact.closed",
        ),
    ),
    bug(
        "a dispute's fee is taken from the customer",
        "payments/test_reversals.py::test_a_disputes_fee_is_not_the_customers",
        (
            "stripe_api/events.py",
            '_signed(row, "amount") for row in rows',
            '_signed(row, "net") for row in rows',
        ),
    ),
    bug(
        "cents of another currency are counted as ours",
        "payments/test_reversals.py::test_a_dispute_settled_in_another_currency_is_scaled_to_what_was_disputed",
        ("payments/reversals.py", "else self.amount * out // withdrawn", "else out"),
    ),
    bug(
        "the highest amount that was ever disputed is kept",
        "payments/test_reversals.py::test_the_disputed_amount_is_the_one_told_with_the_money",
        (
            "payments/reversals.py",
            "(len(fact.transactions), fact.amount)",
            "(self.told_with, fact.amount)",
        ),
    ),
    bug(
        "an inquiry is taken for a dispute",
        "payments/test_reversals.py::test_an_inquiry_is_no_dispute",
        (
            "stripe_api/events.py",
            'opened=formal and status != "prevented" and not status.startswith("warning_")',
            "opened=formal",
        ),
    ),
    bug(
        "the mode of an event is ignored",
        "stripe_api/test_events.py::test_an_event_of_the_other_mode_is_ignored",
        (
            "stripe_api/events.py",
            'if event.get("livemode") is not ours.livemode:',
            'if event.get("livemode") is None:',
        ),
    ),
    bug(
        "the first word about a dispute's end is the last",
        "payments/test_reversals.py::test_a_dispute_that_was_lost_and_won_on_appeal_is_won_in_whichever_order_it_is_told",
        (
            "payments/reversals.py",
            "closed=max(self.closed, fact.closed, key=CLOSED.index)",
            "closed=self.closed or fact.closed",
        ),
    ),
    bug(
        "a lost dispute counts in full though its money came back",
        "payments/test_reversals.py::test_a_lost_dispute_whose_money_all_came_back_gave_the_customer_nothing",
        (
            "payments/reversals.py",
            "self.out_minor if self.transactions else self.amount",
            "self.out_minor or self.amount",
        ),
    ),
    bug(
        "a won dispute keeps units for the difference of two rates",
        "payments/test_reversals.py::test_a_won_dispute_is_over_though_the_rate_has_changed",
        (
            "payments/reversals.py",
            'return 0 if self.closed == "won" and came_back else',
            "return 0 if came_back is None else",
        ),
    ),
    bug(
        "what a newer version wrote stops the older one",
        "payments/test_reversals.py::test_what_a_newer_version_wrote_is_read_after_going_back",
        (
            "facts.py",
            "for name, value in item.items() if name in names}",
            "for name, value in item.items() if name in names or names}",
        ),
    ),
    bug(
        "the mode of a session from the API is ignored",
        "stripe_api/test_events.py::test_a_session_of_the_other_mode_is_ignored",
        (
            "stripe_api/events.py",
            'if session.get("livemode") is not ours.livemode:',
            'if session.get("livemode") is None:',
        ),
    ),
    bug(
        "events of connected accounts are taken for ours",
        "stripe_api/test_events.py::test_an_event_of_a_connected_account_is_ignored",
        (
            "stripe_api/events.py",
            'if event.get("account") or event.get("context"):',
            'if event.get("context"):',
        ),
    ),
    bug(
        "another stack's purchases are credited here too",
        "test_two_deployments.py::test_what_bears_the_metadata_of_another_deployment_is_ignored_at_once",
        (
            "stripe_api/events.py",
            "not (isinstance(deployment, str) and ours.deployment.wrote(deployment)):",
            "not isinstance(deployment, str):",
        ),
    ),
    bug(
        "a session from before ids is taken for ours without a record",
        "test_two_deployments.py::test_a_session_from_before_ids_is_ours_by_its_record_alone",
        ("stripe_api/events.py", '"needs_record": deployment is None}', '"needs_record": False}'),
    ),
    bug(
        "two containers make two ids",
        "test_deployment.py::test_concurrent_first_use_by_two_containers_ends_with_one_id",
        (
            "deployment.py",
            "must=(same,)) for table in TABLES",
            "must=(same,)[1:]) for table in TABLES",
        ),
    ),
    bug(
        "the id stands in one table alone",
        "test_deployment.py::test_a_restore_of_one_table_to_before_the_id_loses_nothing",
        ("deployment.py", '("payments", "events")', '("payments",)'),
    ),
    bug(
        "a foreign id is judged from memory",
        "test_deployment.py::test_a_container_that_outlives_a_restore_learns_the_restored_id",
        ("deployment.py", "if deployment != self._id:", "if not self._id:"),
    ),
    bug(
        "a fact that can move nothing waits for its payment for ever",
        "test_events_that_move_nothing.py::test_the_webhook_ignores_it",
        (
            "payments/settlement.py",
            "    if moves_nothing(fact):\n        return f",
            "    if moves_nothing(fact) and linked:\n        return f",
        ),
    ),
    bug(
        "a complete session from the API is taken for a paid one",
        "stripe_api/test_events.py::test_a_session_from_the_api_says_what_its_events_would",
        (
            "stripe_api/objects.py",
            'if found.get("payment_status") in PAID:',
            'if status == "complete":',
        ),
    ),
)
