"""Bugs in selling: checkout and its repeats, the catalogue, and what Stripe is asked for."""

from typing import Final

from .bug import bug

ONE_KEY: Final = (
    "buying/test_checkout.py::test_two_concurrent_checkouts_under_one_key_answer_one_session"
)
OLD_PRICE: Final = (
    "buying/test_checkout.py::test_a_repeat_pays_the_price_that_the_payment_was_recorded_at"
)

BUYING: Final = (
    bug(
        "each try at Stripe has a new idempotency key",
        "buying/test_checkout.py::test_a_session_whose_answer_was_lost_is_found_again",
        (
            "buying/sessions.py",
            'f"{payment.payment_id}-{payment.attempt}"',
            '__import__("uuid").uuid4().hex',
        ),
    ),
    bug(
        "Stripe is asked before the payment is recorded",
        "buying/test_checkout.py::test_a_payment_is_recorded_before_stripe_is_asked",
        (
            "buying/checkout.py",
            "payment = record(books, order, key)",
            (
                "from billing.buying.session_params import session_params\n"
                "from billing.ids import new_id\n"
                'early = Payment.of(plan, new_id("pay", books.clock()), user_id, "")\n'
                'gateway.create_session(session_params(shop, early, plan), "early-0")\n'
                "payment = record(books, order, key)"
            ),
        ),
    ),
    bug(
        "the payment intent does not carry our metadata",
        "buying/test_checkout.py::test_the_session_and_its_payment_intent_carry_our_metadata",
        ("buying/session_params.py", '{"metadata": claims}', '{"metadata": {}}'),
    ),
    bug(
        "a checkout's key with another plan replays the first answer",
        "buying/test_checkout.py::test_a_repeated_key_is_one_purchase",
        ("buying/orders.py", 'under_key["plan"]', "self.plan.id"),
    ),
    bug(
        "a late session replaces the one that was answered",
        ONE_KEY,
        (
            "buying/sessions.py",
            '(exists("owner"), absent_or("session_id", "==", attached.session_id))',
            '(exists("owner"),)',
        ),
    ),
    bug(
        "two concurrent repeats put two new payments in place of an old one",
        "buying/test_checkout.py::test_two_concurrent_late_repeats_get_one_new_payment",
        ("buying/orders.py", 'equals("payment_id", instead_of)', 'exists("owner")'),
    ),
    bug(
        "what is paid is sold again under its key",
        "buying/test_checkout.py::test_a_paid_purchase_is_not_sold_again_under_its_key",
        ("buying/orders.py", "payment.phase > Phase.EXPIRED", "payment.phase > Phase.PAID"),
    ),
    bug(
        "a repeat is charged today's price",
        OLD_PRICE,
        (
            "buying/session_params.py",
            '{"currency": ..., "unit_amount": payment.amount_minor, "product_data": ...}',
            '{"currency": ..., "unit_amount": plan.amount_minor, "product_data": ...}',
        ),
    ),
)
