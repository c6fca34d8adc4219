"""Defines the routes of Stripe's REST API under /v1: their parameters and their functions."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from infra.stripe_simulator.api import forms, lists, params, rules
from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects import disputes, money, purchases, refunds
from infra.stripe_simulator.objects.world import World, merge_metadata
from infra.stripe_simulator.store import Thing

Act = Callable[[World, str, dict[str, Any]], Thing]
"""Takes the id in the path ("" where there is none) and the checked parameters, and returns the
answer."""


_SESSION_FILTERS: Final = (
    "customer",
    "customer_account",
    "payment_intent",
    "payment_link",
    "status",
    "subscription",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: its pattern, the module with its typed parameters, and its function."""

    method: str
    path: str
    pattern: re.Pattern[str]
    params: str
    act: Act


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
    """Check the parameters, call the route's function, and expand its answer.

    ``text`` is the encoded body or query.
    """
    asked = params.check(endpoint.params, forms.parse(text))
    wishes = asked.pop("expand", [])
    return lists.expand(world, endpoint.act(world, name, asked), wishes)


def _getter(kind: str) -> Act:
    return lambda world, name, _: world.need(kind, name)


def _lister(kind: str, *names: str) -> Act:
    return lambda world, _, asked: lists.page(world, kind, asked, lists.matching(asked, names))


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


def _create_endpoint(world: World, _: str, asked: dict[str, Any]) -> Thing:
    """Make an endpoint. Its signing secret is in this answer only.

    https://docs.stripe.com/api/webhook_endpoints/create
    """
    rules.check_url("url", asked["url"])
    rules.check_metadata("metadata", asked.get("metadata", {}))
    if sum(1 for _ in world.store.newest_first("webhook_endpoint")) >= rules.ENDPOINTS_MAX:
        message = f"You have reached the maximum of {rules.ENDPOINTS_MAX} test webhook endpoints."
        raise StripeFault(400, message)
    made = world.store.put(money.webhook_endpoint(world.store, asked))
    secret = world.store.note(f"secret:{made['id']}", new_id("webhook_secret"))
    return {**made, "secret": secret}


def _update_endpoint(world: World, name: str, asked: dict[str, Any]) -> Thing:
    found = world.need("webhook_endpoint", name)
    if "url" in asked:
        rules.check_url("url", asked["url"])
    changes: Thing = {
        key: asked[key] for key in ("url", "enabled_events", "description") if key in asked
    }
    if "disabled" in asked:
        changes["status"] = "disabled" if asked["disabled"] else "enabled"
    metadata = merge_metadata(found["metadata"], asked.get("metadata", {}))
    return world.change(found, **changes, metadata=metadata)


def _delete_endpoint(world: World, name: str, _: dict[str, Any]) -> Thing:
    world.need("webhook_endpoint", name)
    world.store.remove(name)
    world.deliveries.forget(name)
    return {"id": name, "object": "webhook_endpoint", "deleted": True}


def _route(line: str, typed: str, act: Act) -> Endpoint:
    method, _, path = line.partition(" ")
    pattern = re.compile(path.replace("{id}", "(?P<id>[A-Za-z0-9_]+)"))
    return Endpoint(method, path, pattern, typed, act)


SESSIONS, REFUNDS, HOOKS = "/v1/checkout/sessions", "/v1/refunds", "/v1/webhook_endpoints"
ENDPOINTS: Final = (
    _route(f"POST {SESSIONS}", "checkout._session_create_params", _create_session),
    _route(f"GET {SESSIONS}", "checkout._session_list_params", _list_sessions),
    _route(
        f"GET {SESSIONS}/{{id}}", "checkout._session_retrieve_params", _getter("checkout.session")
    ),
    _route(
        f"POST {SESSIONS}/{{id}}/expire",
        "checkout._session_expire_params",
        lambda world, name, _: purchases.expire(world, name),
    ),
    _route(
        f"GET {SESSIONS}/{{id}}/line_items", "checkout._session_list_line_items_params", _list_items
    ),
    _route(
        "GET /v1/payment_intents",
        "_payment_intent_list_params",
        _lister("payment_intent", "customer", "customer_account"),
    ),
    _route(
        "GET /v1/payment_intents/{id}", "_payment_intent_retrieve_params", _getter("payment_intent")
    ),
    _route(
        "GET /v1/charges",
        "_charge_list_params",
        _lister("charge", "payment_intent", "customer", "transfer_group"),
    ),
    _route("GET /v1/charges/{id}", "_charge_retrieve_params", _getter("charge")),
    _route(f"POST {REFUNDS}", "_refund_create_params", _create_refund),
    _route(f"GET {REFUNDS}", "_refund_list_params", _lister("refund", "charge", "payment_intent")),
    _route(f"GET {REFUNDS}/{{id}}", "_refund_retrieve_params", _getter("refund")),
    _route(f"POST {REFUNDS}/{{id}}", "_refund_update_params", _update_refund),
    _route(f"POST {REFUNDS}/{{id}}/cancel", "_refund_cancel_params", _cancel_refund),
    _route(
        "GET /v1/disputes", "_dispute_list_params", _lister("dispute", "charge", "payment_intent")
    ),
    _route("GET /v1/disputes/{id}", "_dispute_retrieve_params", _getter("dispute")),
    _route("POST /v1/disputes/{id}", "_dispute_update_params", disputes.update_dispute),
    _route(
        "POST /v1/disputes/{id}/close",
        "_dispute_close_params",
        lambda world, name, _: disputes.give_in(world, name),
    ),
    _route(
        "GET /v1/balance_transactions",
        "_balance_transaction_list_params",
        _lister("balance_transaction", "currency", "payout", "source", "type"),
    ),
    _route(
        "GET /v1/balance_transactions/{id}",
        "_balance_transaction_retrieve_params",
        _getter("balance_transaction"),
    ),
    _route(
        "GET /v1/events", "_event_list_params", lambda world, _, asked: lists.events(world, asked)
    ),
    _route("GET /v1/events/{id}", "_event_retrieve_params", _getter("event")),
    _route(f"POST {HOOKS}", "_webhook_endpoint_create_params", _create_endpoint),
    _route(f"GET {HOOKS}", "_webhook_endpoint_list_params", _lister("webhook_endpoint")),
    _route(f"GET {HOOKS}/{{id}}", "_webhook_endpoint_retrieve_params", _getter("webhook_endpoint")),
    _route(f"POST {HOOKS}/{{id}}", "_webhook_endpoint_update_params", _update_endpoint),
    _route(f"DELETE {HOOKS}/{{id}}", "_webhook_endpoint_delete_params", _delete_endpoint),
)
