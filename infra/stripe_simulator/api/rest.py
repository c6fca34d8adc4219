"""Defines the routes of Stripe's REST API under /v1: their parameters and their functions."""

from typing import Any, Final

from infra.stripe_simulator.api import (
    customers,
    forms,
    hooks,
    intents,
    lists,
    params,
    rules,
)
from infra.stripe_simulator.api.endpoint import Endpoint, getter, lister, route
from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.objects import disputes, purchases, refunds
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

_SESSION_FILTERS: Final = (
    "customer",
    "customer_account",
    "payment_intent",
    "payment_link",
    "status",
    "subscription",
)


def find(method: str, path: str) -> tuple[Endpoint, str]:
    """Return the endpoint and the id in the path. Raises Stripe's 404 for an unknown route."""
    for endpoint in ENDPOINTS:
        if endpoint.method == method and (match := endpoint.pattern.fullmatch(path)):
            return endpoint, match.groupdict().get("id", "")
    message = (
        f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can"
        " help at https://support.stripe.com/."
    )
    raise StripeFault(404, message)


def answer(world: World, endpoint: Endpoint, name: str, text: str) -> Thing:
    """Answer a call: check its parameters, call the endpoint's function, and return the object.

    ``name`` is the id in the path, and ``text`` the encoded body or query. Ids that the parameter
    ``expand`` asks for are replaced by their objects. Raises StripeFault for an error.
    """
    asked = params.check(endpoint.params, forms.parse(text))
    wishes = asked.pop("expand", [])
    return lists.expand(world, endpoint.act(world, name, asked), wishes)


def _create_session(world: World, _: str, asked: dict[str, Any]) -> Thing:
    rules.check_session(world.store, asked)
    return purchases.create(world, asked)


def _list_sessions(world: World, _: str, asked: dict[str, Any]) -> Thing:
    same = lists.matching(asked, _SESSION_FILTERS)
    email = asked.get("customer_details", {}).get("email")

    def wanted(row: Thing) -> bool:
        details = row["customer_details"] or {}
        return same(row) and email in (None, details.get("email"))

    return lists.page(world, "checkout.session", asked, wanted)


def _list_items(world: World, name: str, asked: dict[str, Any]) -> Thing:
    return lists.line_items(world, world.need("checkout.session", name)["id"], asked)


def _create_refund(world: World, _: str, asked: dict[str, Any]) -> Thing:
    rules.check_metadata("metadata", asked.get("metadata", {}))
    return refunds.create_refund(world, asked)


def _update_refund(world: World, name: str, asked: dict[str, Any]) -> Thing:
    rules.check_metadata("metadata", asked.get("metadata", {}))
    return refunds.update_refund(world, name, asked.get("metadata", {}))


def _cancel_refund(world: World, name: str, _: dict[str, Any]) -> Thing:
    return refunds.cancel_refund(world, name)


SESSIONS, REFUNDS = "/v1/checkout/sessions", "/v1/refunds"
ENDPOINTS: Final = (
    route(f"POST {SESSIONS}", "checkout._session_create_params", _create_session),
    route(f"GET {SESSIONS}", "checkout._session_list_params", _list_sessions),
    route(
        f"GET {SESSIONS}/{{id}}", "checkout._session_retrieve_params", getter("checkout.session")
    ),
    route(
        f"POST {SESSIONS}/{{id}}/expire",
        "checkout._session_expire_params",
        lambda world, name, _: purchases.expire(world, name),
    ),
    route(
        f"GET {SESSIONS}/{{id}}/line_items", "checkout._session_list_line_items_params", _list_items
    ),
    route(
        "GET /v1/charges",
        "_charge_list_params",
        lister("charge", "payment_intent", "customer", "transfer_group"),
    ),
    route("GET /v1/charges/{id}", "_charge_retrieve_params", getter("charge")),
    route(f"POST {REFUNDS}", "_refund_create_params", _create_refund),
    route(f"GET {REFUNDS}", "_refund_list_params", lister("refund", "charge", "payment_intent")),
    route(f"GET {REFUNDS}/{{id}}", "_refund_retrieve_params", getter("refund")),
    route(f"POST {REFUNDS}/{{id}}", "_refund_update_params", _update_refund),
    route(f"POST {REFUNDS}/{{id}}/cancel", "_refund_cancel_params", _cancel_refund),
    route(
        "GET /v1/disputes", "_dispute_list_params", lister("dispute", "charge", "payment_intent")
    ),
    route("GET /v1/disputes/{id}", "_dispute_retrieve_params", getter("dispute")),
    route("POST /v1/disputes/{id}", "_dispute_update_params", disputes.update_dispute),
    route(
        "POST /v1/disputes/{id}/close",
        "_dispute_close_params",
        lambda world, name, _: disputes.give_in(world, name),
    ),
    route(
        "GET /v1/balance_transactions",
        "_balance_transaction_list_params",
        lister("balance_transaction", "currency", "payout", "source", "type"),
    ),
    route(
        "GET /v1/balance_transactions/{id}",
        "_balance_transaction_retrieve_params",
        getter("balance_transaction"),
    ),
    route(
        "GET /v1/events", "_event_list_params", lambda world, _, asked: lists.events(world, asked)
    ),
    route("GET /v1/events/{id}", "_event_retrieve_params", getter("event")),
    *hooks.ENDPOINTS,
    *customers.ENDPOINTS,
    *intents.ENDPOINTS,
)
