"""Bugs in what an event means: payments, reversals, deployments, and Stripe's events."""

from typing import Final

from .bug import bug

CLAIMS: Final = "stripe_api/claims.py"
PAYMENT: Final = "payments/deciding.py"
REVERSALS: Final = "payments/reversals.py"
PRICE: Final = (
    "settlement/test_settlement.py::test_a_session_at_another_price_is_parked_for_an_operator"
)

DECIDING: Final = (
    bug(
        "an expiry overwrites a completed payment, for the decision does not look",
        "settlement/test_settlement.py::test_a_late_event_undoes_no_purchase",
        (PAYMENT, "payment.phase >= phase", "payment.phase == phase"),
    ),
    bug(
        "another amount is credited",
        PRICE,
        (
            "payments/deciding.py",
            '_Differing("amount", payment.amount_minor, fact.amount_subtotal)',
            '_Differing("amount", payment.amount_minor, payment.amount_minor)',
        ),
    ),
    bug(
        "money received twice is taken for a duplicate",
        "settlement/test_settlement.py"
        "::test_a_second_session_paid_for_one_payment_waits_for_an_operator",
        (PAYMENT, 'Park("paid_twice", ...)', "Already(duplicate=True)"),
    ),
    bug(
        "an unpaid session is credited",
        "settlement/test_settlement.py::test_a_session_that_is_not_paid_yet_credits_nothing",
        ("stripe_api/sessions.py", 'kind = "unpaid"', 'kind = "paid"'),
    ),
    bug(
        "a refund in a state that we do not know is taken for one that stands",
        "stripe_api/test_events.py::test_a_refund_in_a_state_that_we_do_not_know_changes_nothing",
        ("stripe_api/refunds.py", "status in STANDING", "status not in GONE"),
    ),
    bug(
        "the old refund formula: refunds made again after a failure are not known by their ids",
        "test_repeated_refunds.py::test_a_refund_made_again_is_taken_back",
        (
            "payments/reversals.py",
            "max(0, self.refunded_high_minor - sum(self.failed.values()), standing)",
            "max(0, self.refunded_high_minor - sum(self.failed.values()))",
        ),
    ),
    bug(
        "random histories overlook a refund that was made again after it failed",
        "../properties/test_histories.py::test_two_thousand_histories_keep_the_laws_and_end_as_the_model_says",
        (
            "payments/reversals.py",
            "max(0, self.refunded_high_minor - sum(self.failed.values()), standing)",
            "max(0, self.refunded_high_minor - sum(self.failed.values()))",
        ),
    ),
    bug(
        "refunds and disputes take back more than was credited",
        "payments/test_reversals.py"
        "::test_refund_and_dispute_together_take_no_more_than_was_credited",
        (
            REVERSALS,
            "min(paid_minor, self.refunded_minor + self.disputed_minor)",
            "self.refunded_minor + self.disputed_minor",
        ),
    ),
    bug(
        "a part of a unit is rounded by floats",
        "payments/test_reversals.py::test_a_part_of_a_unit_stays_with_the_customer",
        (REVERSALS, "units * out_minor // paid_minor", "round(units / paid_minor * out_minor)"),
    ),
    bug(
        "another deployment's purchases are credited here too",
        "payments/test_ownership.py"
        "::test_an_event_with_another_deployments_metadata_is_ignored_immediately",
        (CLAIMS, "ours.deployment.wrote(deployment)", "True"),
    ),
    bug(
        "a session from before deployment ids is taken for ours without a record",
        "payments/test_ownership.py::test_a_session_from_before_ids_is_ours_by_its_record_alone",
        (CLAIMS, "needs_record = deployment is None", "needs_record = False"),
    ),
    bug(
        "two containers make two deployment ids",
        "test_deployment.py::test_concurrent_first_use_by_two_containers_ends_with_one_id",
        (
            "deployment.py",
            'Write(table, KEY, set={"deployment": name}, must=(same,))',
            'Write(table, KEY, set={"deployment": name})',
        ),
    ),
    bug(
        "the deployment id stands in one table alone",
        "test_deployment.py::test_a_restore_of_one_table_to_before_the_id_loses_nothing",
        ("deployment.py", '("payments", "events")', '("payments",)'),
    ),
    bug(
        "a foreign deployment id is judged from memory",
        "test_deployment.py::test_a_container_that_outlives_a_restore_learns_the_restored_id",
        ("deployment.py", "deployment != self._id", "not self._id"),
    ),
    bug(
        "an event that can move nothing waits for its payment for ever",
        "test_events_that_move_nothing.py::test_the_webhook_ignores_it",
        ("payments/ownership.py", "if moves_nothing(fact):\n    ...", "pass"),
    ),
)
