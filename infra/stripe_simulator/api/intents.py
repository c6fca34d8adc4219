"""Defines the routes of payment intents, with Stripe's rules for parameters.

https://docs.stripe.com/api/payment_intents
"""

from typing import Any, Final

from infra.stripe_simulator.api import currencies, rules
from infra.stripe_simulator.api.endpoint import getter, lister, route
from infra.stripe_simulator.errors import StripeFault, bad_integer
from infra.stripe_simulator.objects import intents
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

WITH_CONFIRM: Final = ("error_on_requires_action", "off_session", "return_url")
"""Parameters that need ``confirm=true``: https://docs.stripe.com/api/payment_intents/create."""
_NOT_SIMULATED: Final = (
    "application_fee_amount",
    "confirmation_token",
    "customer_account",
    "mandate",
    "mandate_data",
    "on_behalf_of",
    "payment_method_configuration",
    "payment_method_data",
    "transfer_data",
)
REDIRECTS: Final = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because"
    " some of these payment methods might redirect your customer off of your page, you must provide"
    " a `return_url`. If you don't want to accept redirect-based payment methods, set"
    " `automatic_payment_methods[enabled]` to `true` and"
    " `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and"
    " Payment Intents."
)
"""Stripe's message for a request without ``return_url`` whose payment methods may redirect:
https://docs.stripe.com/api/payment_intents/create#create_payment_intent-automatic_payment_methods-allow_redirects
"""


def _create(world: World, _: str, asked: dict[str, Any]) -> Thing:
    _check_amount(asked)
    _check_common(asked)
    if asked.get("capture_method", "automatic_async") == "manual":
        raise StripeFault(400, "This simulator captures automatically.", param="capture_method")
    if asked.get("confirm"):
        _check_confirmed(asked)
    else:
        _check_unconfirmed(asked)
    return intents.create(world, asked)


def _check_amount(asked: dict[str, Any]) -> None:
    """Raise StripeFault for an unknown currency, or an amount out of Stripe's bounds.

    https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
    """
    currency, amount = asked["currency"].lower(), asked["amount"]
    if currency not in currencies.CURRENCIES:
        raise StripeFault(400, f"Invalid currency: {currency}.", param="currency")
    if amount < 1:
        raise bad_integer("This value must be greater than or equal to 1.", "amount")
    least = currencies.MINIMUM_MINOR.get(currency, 50)
    if amount < least:
        message = f"Amount must be at least {least} in the minor unit of {currency}"
        raise StripeFault(400, message, code="amount_too_small", param="amount")
    if amount > currencies.AMOUNT_MAX:
        message = (
            f"Amount must be no more than {currencies.AMOUNT_MAX} in the minor unit of {currency}"
        )
        raise StripeFault(400, message, code="amount_too_large", param="amount")


def _check_common(asked: dict[str, Any]) -> None:
    rules.check_metadata("metadata", asked.get("metadata", {}))
    for name in _NOT_SIMULATED:
        if name in asked:
            raise StripeFault(400, f"This simulator has no {name}.", param=name)
    if "return_url" in asked:
        rules.check_url("return_url", asked["return_url"])


def _check_confirmed(asked: dict[str, Any]) -> None:
    if "payment_method" not in asked:
        message = "You cannot confirm this PaymentIntent because it's missing a payment method."
        code = "payment_intent_unexpected_state"
        raise StripeFault(400, message, code=code, param="payment_method")
    redirects = asked.get("automatic_payment_methods", {}).get("allow_redirects", "always")
    named = "allowed_payment_method_types" in asked
    if redirects != "never" and not named and "return_url" not in asked:
        raise StripeFault(400, REDIRECTS, param="return_url")


def _check_unconfirmed(asked: dict[str, Any]) -> None:
    for name in WITH_CONFIRM:
        if name in asked:
            message = f"The parameter `{name}` can only be used with `confirm=true`."
            raise StripeFault(400, message, param=name)


def _confirm(world: World, name: str, asked: dict[str, Any]) -> Thing:
    _check_common(asked)
    chosen = world.need("payment_intent", name)["automatic_payment_methods"] or {}
    if chosen.get("allow_redirects") == "always" and "return_url" not in asked:
        raise StripeFault(400, REDIRECTS, param="return_url")
    return intents.confirm(world, name, asked)


def _update(world: World, name: str, asked: dict[str, Any]) -> Thing:
    rules.check_metadata("metadata", asked.get("metadata", {}))
    return intents.update(world, name, asked)


INTENTS = "/v1/payment_intents"
ENDPOINTS: Final = (
    route(f"POST {INTENTS}", "_payment_intent_create_params", _create),
    route(
        f"GET {INTENTS}",
        "_payment_intent_list_params",
        lister("payment_intent", "customer", "customer_account"),
    ),
    route(f"GET {INTENTS}/{{id}}", "_payment_intent_retrieve_params", getter("payment_intent")),
    route(f"POST {INTENTS}/{{id}}", "_payment_intent_update_params", _update),
    route(f"POST {INTENTS}/{{id}}/confirm", "_payment_intent_confirm_params", _confirm),
    route(f"POST {INTENTS}/{{id}}/cancel", "_payment_intent_cancel_params", intents.cancel),
)
