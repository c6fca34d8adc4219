"""Classifies declined charges: retry later, never, or only with the customer present.

It is pure.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

Verdict = Literal["soft", "hard", "authentication"]
AUTHENTICATION: Final = frozenset(
    {"authentication_required", "authentication_not_handled"}
)
"""The bank wants the customer to authenticate, who is not there.

https://docs.stripe.com/payments/save-during-payment#charge-saved-payment-method and, for
``error_on_requires_action``, https://docs.stripe.com/error-codes#authentication-required
"""
HARD: Final = frozenset(
    {
        "account_closed",
        "card_not_supported",
        "currency_not_supported",
        "do_not_try_again",
        "expired_card",
        "fraudulent",
        "highest_risk_level",
        "incorrect_number",
        "invalid_account",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "lost_card",
        "merchant_blacklist",
        "new_account_information_available",
        "no_such_payment_method",
        "payment_method_not_available",
        "pickup_card",
        "restricted_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "security_violation",
        "service_not_allowed",
        "stolen_card",
        "stop_payment_order",
        "transaction_not_allowed",
    }
)
"""Codes and decline codes after which the same card is not tried again: another card is needed.

https://docs.stripe.com/declines/codes, https://docs.stripe.com/error-codes and
https://docs.stripe.com/billing/revenue-recovery/smart-retries
"""
HARD_ADVICE: Final = frozenset({"do_not_try_again", "confirm_card_data"})
"""Advice of the issuer. It counts more than the code: ``try_again_later`` is the only other one.

https://docs.stripe.com/declines/card#retrying-issuer-declines
"""


def verdict(error: Mapping[str, Any]) -> Verdict:
    """Return the class of a decline, from Stripe's error object.

    An unknown code is soft: it is tried three times more, hours apart, and then never.
    """
    codes = {error.get("code"), error.get("decline_code")}
    if codes & AUTHENTICATION:
        return "authentication"
    if codes & HARD or error.get("advice_code") in HARD_ADVICE:
        return "hard"
    return "soft"
