"""Bugs in what brings the books right afterwards: recovery, reconciliation, and checkout's own repeats."""

from typing import Final

from .bug import bug

RECOVERING: Final = (
    bug(
        "a parked fact that cannot be tried now is let go",
        "test_reconciliation.py::test_a_parked_fact_outlives_trouble_at_stripe",
        ("recovery.py", "    parking.postpone(books, record)\n    return False", "    parking.resolve(books, record)\n    return False"),
    ),
    bug(
        "an unknown outcome lets the parked fact go",
        "test_reconciliation.py::test_a_retry_that_ends_unknown_keeps_the_record",
        ("recovery.py", "        pass  # not failed, not settled: postponed", "        parking.resolve(books, record)"),
    ),
    bug(
        "recovery does not ask Stripe what a parked fact belongs to",
        "test_reconciliation.py::test_recovery_finds_the_session_that_a_refund_belongs_to",
        ("recovery.py", "    settlement.apply(books, found)\n", ""),
    ),
    bug(
        "recovery takes what waits for a person for nobody's",
        "test_reconciliation.py::test_what_waits_for_a_person_is_not_tried",
        ("parking.py", "0 if park.kind in FOR_A_PERSON else epoch(now)", "epoch(now) if park.kind in FOR_A_PERSON else epoch(now)"),
        ("settlement.py", 'if outcome.status != "parked":', "if outcome.units == 0:"),
    ),
    bug(
        "reconciliation passes over young sessions",
        "test_reconciliation.py::test_a_paid_session_whose_webhooks_were_lost_is_credited_however_young",
        (
            "reconciliation.py",
            '    for row in page["data"]:\n',
            '    for row in [one for one in page["data"] if from_epoch(int(one["created"]) + 600) < stamp(job.books.clock())]:\n',
        ),
    ),
    bug(
        "reconciliation looks at the first page alone",
        "test_reconciliation.py::test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled",
        ("reconciliation.py", 'if page["has_more"]:', "if False:"),
    ),
    bug(
        "a stopped reconciliation begins again from the start",
        "test_reconciliation.py::test_a_run_that_was_stopped_is_gone_on_with_until_all_is_settled",
        (
            "reconciliation.py",
            "            _keep_cursor(job, cursor)\n            return False",
            "            _keep_cursor(job, Cursor(cursor.since))\n            return False",
        ),
    ),
    bug(
        "reconciliation tells what is missing and credits nothing",
        "test_reconciliation.py::test_a_paid_session_whose_webhooks_were_lost_is_credited_however_young",
        ("reconciliation.py", "        outcome = settlement.apply(job.books, fact)\n", '        outcome = settlement.Outcome("settled")\n'),
    ),
    bug(
        "a dry run repairs",
        "test_reconciliation.py::test_a_dry_run_touches_nothing",
        ("reconciliation.py", "    if job.repair:\n        outcome", "    if fact:\n        outcome"),
    ),
    bug(
        "refunds are not reconciled",
        "test_reconciliation.py::test_a_refund_whose_webhooks_were_lost_is_taken_back",
        (
            "reconciliation.py",
            'PHASES: Final = ("sessions", "refunds", "disputes", "ours")',
            'PHASES: Final = ("sessions", "disputes", "ours")',
        ),
    ),
    bug(
        "failed refunds that Stripe lists are counted",
        "test_reconciliation.py::test_a_refund_whose_webhooks_were_lost_is_taken_back",
        ("observed.py", 'for row in rows if row["id"] not in gone}', "for row in rows}"),
        ("observed.py", "failed=gone,", "failed={},"),
    ),
    bug(
        "disputes are not reconciled",
        "test_reconciliation.py::test_a_dispute_whose_webhooks_were_lost_is_taken_back",
        (
            "reconciliation.py",
            'PHASES: Final = ("sessions", "refunds", "disputes", "ours")',
            'PHASES: Final = ("sessions", "refunds", "ours")',
        ),
    ),
    bug(
        "a credit that Stripe does not know is not told",
        "test_reconciliation.py::test_what_is_credited_here_and_unknown_at_stripe_is_told",
        (
            "reconciliation.py",
            'PHASES: Final = ("sessions", "refunds", "disputes", "ours")',
            'PHASES: Final = ("sessions", "refunds", "disputes")',
        ),
        (
            "reconciliation.py",
            "return Cursor(cursor.since, PHASES[PHASES.index(cursor.phase) + 1])",
            "return Cursor(cursor.since, PHASES[PHASES.index(cursor.phase) + 1]) if cursor.phase != PHASES[-1] else None",
        ),
    ),
    bug(
        "a lost record is rebuilt at any price",
        "test_reconciliation.py::test_a_payments_record_that_was_lost_is_rebuilt_and_credited_once",
        (
            "reconciliation.py",
            "if (plan.quota, plan.amount_minor, plan.currency) != (fact.quota, fact.amount_subtotal, fact.currency):",
            "plan = replace(plan, quota=fact.quota, amount_minor=fact.amount_subtotal)\n    if plan.currency != fact.currency:",
        ),
    ),
    bug(
        "a failure of one parked fact stops the run",
        "test_reconciliation.py::test_a_parked_fact_outlives_trouble_at_stripe",
        (
            "recovery.py",
            "except (OutcomeUnknownError, AnsweredWithFaultError, NotAtStripeError, BillingError):",
            "except OutcomeUnknownError:",
        ),
    ),
    bug(
        "each try at Stripe has a new idempotency key",
        "test_checkout.py::test_a_session_whose_answer_was_lost_is_found_again",
        ("checkout.py", 'f"{payment.payment_id}-{payment.attempt}"', 'new_id("try", books.clock())'),
    ),
    bug(
        "a fault that Stripe stored is asked for again and again",
        "test_checkout.py::test_a_fault_of_stripe_is_not_replayed_for_ever",
        ("checkout.py", 'f"{payment.payment_id}-{payment.attempt}"', "payment.payment_id"),
    ),
    bug(
        "Stripe is asked before the payment is recorded",
        "test_checkout.py::test_a_payment_is_recorded_before_stripe_is_asked",
        (
            "checkout.py",
            "    payment = _recorded(books, user_id, plan, key)\n",
            (
                '    early = Payment.of(plan, new_id("pay", books.clock()), user_id, "")\n'
                '    gateway.create_session(session_params(shop, early, plan), f"{early.payment_id}-0")\n'
                "    payment = _recorded(books, user_id, plan, key)\n"
            ),
        ),
    ),
    bug(
        "the payment intent does not carry our metadata",
        "test_checkout.py::test_the_session_and_its_payment_intent_carry_our_metadata",
        ("checkout.py", '"payment_intent_data": {"metadata": metadata},', '"payment_intent_data": {"metadata": {}},'),
    ),
    bug(
        "a checkout's key with another plan replays the first answer",
        "test_checkout.py::test_a_repeated_key_is_one_purchase",
        ("checkout.py", 'if kept_before["plan"] != plan.id:', 'if not kept_before["plan"]:'),
    ),
    bug(
        "a checkout's key is not kept",
        "test_checkout.py::test_a_repeated_key_is_one_purchase",
        ("checkout.py", "    if key:\n", "    if not key:\n"),
    ),
)
