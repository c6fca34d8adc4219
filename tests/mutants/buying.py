"""Bugs in selling: the catalogue, checkout and its repeats, and what Stripe is asked for."""

from typing import Final

from .bug import bug

BUYING: Final = (
    bug(
        "each try at Stripe has a new idempotency key",
        "payments/test_checkout.py::test_a_session_whose_answer_was_lost_is_found_again",
        (
            "payments/checkout.py",
            'f"{payment.payment_id}-{payment.attempt}"',
            'new_id("try", books.clock())',
        ),
    ),
    bug(
        "a fault that Stripe stored is asked for again and again",
        "payments/test_checkout.py::test_a_fault_of_stripe_is_not_replayed_for_ever",
        ("payments/checkout.py", 'f"{payment.payment_id}-{payment.attempt}"', "payment.payment_id"),
    ),
    bug(
        "Stripe is asked before the payment is recorded",
        "payments/test_checkout.py::test_a_payment_is_recorded_before_stripe_is_asked",
        (
            "payments/checkout.py",
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
        "payments/test_checkout.py::test_the_session_and_its_payment_intent_carry_our_metadata",
        (
            "payments/checkout.py",
            '"payment_intent_data": {"metadata": metadata},',
            '"payment_intent_data": {"metadata": {}},',
        ),
    ),
    bug(
        "a checkout's key with another plan replays the first answer",
        "payments/test_checkout.py::test_a_repeated_key_is_one_purchase",
        (
            "payments/checkout.py",
            'if kept_before["plan"] != plan.id:',
            'if not kept_before["plan"]:',
        ),
    ),
    bug(
        "a checkout's key is not kept",
        "payments/test_checkout.py::test_a_repeated_key_is_one_purchase",
        ("payments/checkout.py", "    if key:\n", "    if not key:\n"),
    ),
    bug(
        "the session that is noted last replaces one that was told",
        "payments/test_checkout.py::test_two_requests_under_one_key_hear_one_session",
        ("payments/checkout.py", 'must=(exists("owner"), first))', 'must=(exists("owner"),))'),
    ),
    bug(
        "who comes late is told a session that is not the payment's",
        "payments/test_checkout.py::test_two_requests_under_one_key_hear_one_session",
        (
            "payments/checkout.py",
            "        return _outrun(books, gateway, noted)\n",
            "        _outrun(books, gateway, noted)\n",
        ),
    ),
    bug(
        "the session beside the payment's stays open",
        "payments/test_checkout.py::test_two_requests_under_one_key_hear_one_session",
        (
            "payments/checkout.py",
            "        gateway.expire_session(late.session_id)\n",
            "        pass\n",
        ),
    ),
    bug(
        "the payment's own session is closed and not the late one",
        "payments/test_checkout.py::test_two_requests_under_one_key_hear_one_session",
        (
            "payments/checkout.py",
            "gateway.expire_session(late.session_id)",
            "gateway.expire_session(payment.session_id)",
        ),
    ),
    bug(
        "a session that cannot be closed fails the checkout",
        "payments/test_checkout.py::test_a_session_that_cannot_be_closed_changes_no_answer",
        (
            "payments/checkout.py",
            "with suppress(BillingError, StripeServerError, StripeNotFoundError):",
            "with suppress():",
        ),
    ),
    bug(
        "a session whose address is not known is answered without one",
        "payments/test_checkout.py::test_a_session_that_expired_unheard_gives_way_to_a_new_purchase",
        (
            "payments/checkout.py",
            "    if not payment.url:\n        payment = _with",
            "    if not payment.session_id:\n        payment = _with",
        ),
        (
            "payments/checkout.py",
            "    if payment.url:\n        return payment\n",
            "    if payment.session_id:\n        return payment\n",
        ),
    ),
    bug(
        "an address that an event left empty is answered",
        "payments/test_checkout.py::test_a_session_beside_one_that_was_never_told_is_not_told_either",
        (
            "payments/checkout.py",
            "    if not payment.url:\n        message",
            "    if not payment:\n        message",
        ),
    ),
    bug(
        "Stripe is asked under a key that it has forgotten, and makes a second session",
        "payments/test_checkout.py::test_stripe_is_asked_under_one_key_for_no_longer_than_it_remembers_it",
        (
            "payments/checkout.py",
            "REMEMBERED_SECONDS: Final = 23 * 3600",
            "REMEMBERED_SECONDS: Final = 10**9",
        ),
    ),
    bug(
        "two repeats at once put two new payments in place of an old one",
        "payments/test_checkout.py::test_two_who_ask_too_late_at_once_get_one_new_payment",
        (
            "payments/checkout.py",
            'equals("payment_id", instead_of) if instead_of',
            'exists("owner") if instead_of',
        ),
    ),
    bug(
        "what is paid is sold again under its key",
        "payments/test_checkout.py::test_what_was_paid_unheard_is_not_sold_again_under_its_key",
        (
            "payments/checkout.py",
            "    if payment.phase > Phase.EXPIRED:\n",
            "    if payment.phase > Phase.PAID:\n",
        ),
    ),
    bug(
        "a repeat is charged today's price",
        "payments/test_checkout.py::test_a_repeat_pays_the_price_that_the_payment_was_recorded_at",
        (
            "payments/checkout.py",
            '"unit_amount": payment.amount_minor',
            '"unit_amount": plan.amount_minor',
        ),
    ),
    bug(
        "a repeat is charged in today's currency",
        "payments/test_checkout.py::test_a_repeat_pays_the_price_that_the_payment_was_recorded_at",
        (
            "payments/checkout.py",
            '{"currency": payment.currency, "unit',
            '{"currency": plan.currency, "unit',
        ),
    ),
    bug(
        "Stripe converts the price into the buyer's currency",
        "payments/test_checkout.py::test_stripe_converts_no_price",
        ("payments/checkout.py", '        "adaptive_pricing": {"enabled": False},\n', ""),
    ),
    bug(
        "a create whose answer was lost is not asked again",
        "stripe_api/test_client.py::test_what_passes_is_asked_again_under_the_same_key",
        (
            "stripe_api/refusals.py",
            "isinstance(error, stripe.APIConnectionError | stripe.RateLimitError)",
            "isinstance(error, stripe.RateLimitError)",
        ),
    ),
    bug(
        "too many requests are a buyer's trouble",
        "stripe_api/test_client.py::test_what_passes_is_asked_again_under_the_same_key",
        (
            "stripe_api/refusals.py",
            "isinstance(error, stripe.APIConnectionError | stripe.RateLimitError)",
            "isinstance(error, stripe.APIConnectionError)",
        ),
    ),
    bug(
        "who asks under a key that is in use asks under another",
        "stripe_api/test_client.py::test_two_at_once_under_one_key_get_one_session",
        ("stripe_api/refusals.py", "return error.http_status == CONFLICT or", "return"),
    ),
    bug(
        "a key of other parameters is asked for again and again",
        "stripe_api/test_client.py::test_a_checkout_goes_on_after_a_deployment_has_changed_what_stripe_is_asked",
        ("stripe_api/client.py", "isinstance(error, stripe.IdempotencyError) or ", ""),
    ),
    bug(
        "creating a session has a key of its own at each try",
        "stripe_api/test_client.py::test_what_passes_is_asked_again_under_the_same_key",
        ("stripe_api/client.py", '= {"idempotency_key": idempotency_key}', "= {}"),
    ),
    bug(
        "a currency of three decimals is for sale, and printed with two",
        "payments/test_plans.py::test_a_currency_that_cannot_be_printed_exactly_is_refused",
        ("money.py", '"usd", "zar"}', '"usd", "zar", "kwd"}'),
    ),
    bug(
        "the catalogue is not checked",
        "payments/test_plans.py::test_a_plan_that_breaks_a_rule_is_refused_by_that_rule",
        (
            "payments/plans.py",
            'return [f"plan {number}: {rule}" for rule, holds in checks.items() if not holds]',
            "return []",
        ),
    ),
    bug(
        "a price may be nothing at all",
        "payments/test_plans.py::test_a_plan_that_breaks_a_rule_is_refused_by_that_rule",
        ("payments/plans.py", "and least <= value <= largest", "and 0 <= value <= largest"),
    ),
)
