"""Classifies declined charges: retry later, never, or only with the customer present.

It is pure.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

Verdict = Literal["soft", "hard", "authentication"]
AUTHENTICATION: Final = frozenset(
    {
        "authentication_required",
        "authentication_not_handled",
        "payment_intent_authentication_failure",
    }
)
"""The bank wants the customer to authenticate, who is not there.

https://docs.stripe.com/payments/save-during-payment#charge-saved-payment-method,
https://docs.stripe.com/declines/codes (``authentication_required``) and, for what
``error_on_requires_action`` answers, https://docs.stripe.com/error-codes
"""
NOT_RETRIED_BY_STRIPE: Final = frozenset(
    {
        "highest_risk_level",
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "transaction_not_allowed",
    }
)
"""Stripe's own retries end at these, and at ``authentication_required``.

https://docs.stripe.com/billing/revenue-recovery/smart-retries#non-retryable-decline-codes
"""
ANOTHER_CARD: Final = frozenset(
    {
        "account_closed",
        "card_not_supported",
        "currency_not_supported",
        "do_not_try_again",
        "expired_card",
        "fraudulent",
        "invalid_account",
        "merchant_blacklist",
        "new_account_information_available",
        "no_such_payment_method",
        "payment_method_not_available",
        "restricted_card",
        "security_violation",
        "service_not_allowed",
        "stop_payment_order",
        "testmode_decline",
    }
)
"""The next step that Stripe names is the customer's: another card, or a word with the bank.

https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes
"""
WRONG_DATA: Final = frozenset(
    {
        "incorrect_address",
        "incorrect_cvc",
        "incorrect_pin",
        "incorrect_zip",
        "invalid_cvc",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "invalid_pin",
        "offline_pin_required",
        "online_or_offline_pin_required",
        "pin_try_exceeded",
    }
)
"""The customer must enter something again, so the same request fails again.

https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes
"""
HARD: Final = NOT_RETRIED_BY_STRIPE | ANOTHER_CARD | WRONG_DATA
"""Codes and decline codes after which the same card is not tried again."""
HARD_ADVICE: Final = frozenset({"do_not_try_again", "confirm_card_data"})
"""Advice of the issuer. Stripe's only other one is ``try_again_later``, which softens no code.

https://docs.stripe.com/declines/card#retrying-issuer-declines
"""


def verdict(error: Mapping[str, Any]) -> Verdict:
    """Return the class of a decline, from Stripe's error object.

    Any other code is soft. So is a code that Stripe adds later: most declines are
    ``generic_decline``, and the advice code says where a retry has no use. A soft decline is tried
    three times more, hours apart, and then never: https://docs.stripe.com/declines/card
    """
    codes = {error.get("code"), error.get("decline_code")}
    if codes & AUTHENTICATION:
        return "authentication"
    if codes & HARD or error.get("advice_code") in HARD_ADVICE:
        return "hard"
    return "soft"
