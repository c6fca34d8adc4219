"""Bugs in automatic charges: those with which others have charged their customers twice."""

from typing import Final

from .bug import Bug, Edit

RUNNER: Final = "tests/unit/top_up/test_runner.py::"
OPENING: Final = "tests/unit/top_up/test_opening.py::"
EDGES: Final = "tests/unit/top_up/test_edges.py::"
PAYMENTS: Final = "tests/unit/settlement/test_automatic_payments.py::"

TOPPING_UP: Final = (
    Bug(
        "an attempt has another idempotency key each time it is sent",
        (RUNNER + "test_a_request_that_never_came_through_is_the_first_one_still",),
        (
            Edit(
                "charging/charge.py",
                'return f"{self.payment_id}-{self.attempt}"',
                'return f"{self.payment_id}-{self.attempt}-{self.due}"',
            ),
        ),
    ),
    Bug(
        "two writes that cross the threshold at once open two charges",
        (OPENING + "test_two_writes_that_cross_at_once_open_one_charge",),
        (Edit("agreements/rows.py", "(_same_version(before), *must)", "()"),),
    ),
    Bug(
        "the month's charges are not counted where a charge is opened",
        (
            OPENING + "test_the_months_count_rises_with_the_charge",
            RUNNER + "test_a_pack_smaller_than_the_backlog_is_followed_by_another_within_the_limit",
        ),
        (Edit("top_up/opening.py", "used + 1", "used"),),
    ),
    Bug(
        "a charge that the customer must authenticate is taken for a success",
        (PAYMENTS + "test_an_intent_in_any_other_state_says_nothing",),
        (
            Edit(
                "stripe_api/intents.py",
                '{"succeeded": "paid", "processing": "unpaid", "canceled": "async_failed"}',
                '{"succeeded": "paid", "processing": "unpaid", "canceled": "async_failed",'
                ' "requires_action": "paid"}',
            ),
        ),
    ),
    Bug(
        "an attempt whose outcome is unknown is followed by another under a new key",
        (RUNNER + "test_a_broken_answer_is_not_asked_for_under_a_new_key_within_its_day",),
        (
            Edit(
                "charging/state_machine.py",
                "now - charge.asked_at >= KEY_SECONDS",
                "True",
            ),
        ),
    ),
    Bug(
        "money that is under way is credited",
        (PAYMENTS + "test_a_charge_that_has_not_succeeded_credits_nothing",),
        (
            Edit(
                "stripe_api/intents.py",
                '{"succeeded": "paid", "processing": "unpaid", "canceled": "async_failed"}',
                '{"succeeded": "paid", "processing": "paid", "canceled": "async_failed"}',
            ),
        ),
    ),
    Bug(
        "a decline of an earlier attempt ends the one that is under way",
        (
            RUNNER
            + "test_a_second_attempt_whose_answer_was_lost_is_not_judged_by_the_first_ones_decline",
        ),
        (
            Edit(
                "charging/lookup.py",
                "if self._may_be_older(charge, word, now):\n    return Word(Unknown(), error=why)",
                "pass",
            ),
        ),
    ),
    Bug(
        "a request that may never have arrived is sent again after switching off",
        (EDGES + "test_a_request_that_never_arrived_is_not_sent_after_switching_off",),
        (
            Edit(
                "top_up/runner.py",
                "job.asker.send if agreement.charges else job.asker.look",
                "job.asker.send",
            ),
        ),
    ),
    Bug(
        "a retry charges the terms that the customer has replaced",
        (EDGES + "test_a_retry_never_charges_terms_that_were_replaced",),
        (
            Edit(
                "top_up/obstacles.py",
                "not agreement.charges or not agreement.covers(payment)",
                "not agreement.charges",
            ),
        ),
    ),
    Bug(
        "a retry charges a price that the catalogue no longer has",
        (EDGES + "test_a_retry_never_charges_a_price_that_the_catalogue_no_longer_has",),
        (
            Edit(
                "top_up/obstacles.py",
                "if reason := agreement.differs(plans.catalogue().get(agreement.plan)):\n"
                "    return reason",
                "pass",
            ),
        ),
    ),
    Bug(
        "a clock that is still in the month before forgets the month's charges",
        (EDGES + "test_a_slower_clock_gives_no_charge_more_at_the_months_end",),
        (
            Edit("agreements/agreement.py", "self.month >= month", "self.month == month"),
            Edit("top_up/opening.py", "max(month_of(now), agreement.month)", "month_of(now)"),
        ),
    ),
)
