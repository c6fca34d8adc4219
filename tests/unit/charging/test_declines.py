"""Which declines end the charges of a card, by Stripe's own lists of codes."""

from typing import Final

import pytest
from billing.charging.declines import verdict

NEVER_RETRIED_BY_STRIPE: Final = (
    "incorrect_number",
    "lost_card",
    "pickup_card",
    "stolen_card",
    "revocation_of_authorization",
    "revocation_of_all_authorizations",
    "highest_risk_level",
    "transaction_not_allowed",
)
"""Beside authentication_required: https://docs.stripe.com/billing/revenue-recovery/smart-retries"""
FOR_THE_CUSTOMER: Final = (
    "card_not_supported",
    "currency_not_supported",
    "do_not_try_again",
    "expired_card",
    "fraudulent",
    "incorrect_cvc",
    "incorrect_pin",
    "incorrect_zip",
    "invalid_account",
    "invalid_cvc",
    "invalid_expiry_month",
    "invalid_expiry_year",
    "invalid_number",
    "invalid_pin",
    "merchant_blacklist",
    "new_account_information_available",
    "offline_pin_required",
    "online_or_offline_pin_required",
    "pin_try_exceeded",
    "restricted_card",
    "security_violation",
    "service_not_allowed",
    "stop_payment_order",
    "testmode_decline",
)
"""Another card, or other data of this one: https://docs.stripe.com/declines/codes"""
LATER: Final = (
    "approve_with_id",
    "call_issuer",
    "card_velocity_exceeded",
    "do_not_honor",
    "duplicate_transaction",
    "generic_decline",
    "insufficient_funds",
    "invalid_amount",
    "issuer_not_available",
    "no_action_taken",
    "not_permitted",
    "processing_error",
    "reenter_transaction",
    "try_again_later",
    "withdrawal_count_limit_exceeded",
)
"""The rest of https://docs.stripe.com/declines/codes: the card may pay hours later."""


@pytest.mark.parametrize("code", [*NEVER_RETRIED_BY_STRIPE, *FOR_THE_CUSTOMER])
def test_a_card_is_not_tried_again_where_only_the_customer_can_help(code: str) -> None:
    """Stripe gives some of them as the code itself, most as the decline code."""
    assert verdict({"code": "card_declined", "decline_code": code}) == "hard"
    assert verdict({"code": code}) == "hard"


@pytest.mark.parametrize("code", [*LATER, "a_code_of_next_year"])
def test_a_decline_that_may_pass_is_tried_again(code: str) -> None:
    """Also one whose code is not known yet, and one with the advice to wait."""
    assert verdict({"code": "card_declined", "decline_code": code}) == "soft"
    waiting = {"code": "card_declined", "decline_code": code, "advice_code": "try_again_later"}
    assert verdict(waiting) == "soft"


@pytest.mark.parametrize("advice", ["do_not_try_again", "confirm_card_data"])
def test_the_issuers_advice_ends_the_retries_of_a_soft_code(advice: str) -> None:
    error = {"code": "card_declined", "decline_code": "generic_decline", "advice_code": advice}
    assert verdict(error) == "hard"


def test_the_advice_to_wait_does_not_soften_a_stolen_card() -> None:
    error = {"code": "card_declined", "decline_code": "stolen_card"}
    assert verdict({**error, "advice_code": "try_again_later"}) == "hard"


@pytest.mark.parametrize(
    "error",
    [
        {"code": "authentication_required"},
        {"code": "card_declined", "decline_code": "authentication_required"},
        {"code": "card_declined", "decline_code": "authentication_not_handled"},
        {"code": "payment_intent_authentication_failure"},
        {"code": "authentication_required", "advice_code": "do_not_try_again"},
    ],
)
def test_a_bank_that_wants_the_customer_is_told_from_a_bad_card(error: dict[str, str]) -> None:
    assert verdict(error) == "authentication"
