"""Stripe's REST API under /v1: which route takes which parameters, and what it answers."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from infra.local.simulator import forms, shapes
from infra.local.simulator.drawers import Thing
from infra.local.simulator.errors import StripeFault, missing
from infra.local.simulator.world import ConflictError, World

EVENT_SECONDS: Final = 30 * 86400
CURRENCIES: Final = frozenset("usd eur gbp jpy chf aud cad sgd cny hkd nzd sek nok dkk pln czk ron brl mxn inr myr thb zar krw".split())
AMOUNT_MIN: Final = 50
"""About 0.50 USD. https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts"""
METHODS: Final = frozenset({"card", "us_bank_account", "sepa_debit", "konbini", "link", "alipay", "wechat_pay", "ideal", "paypal"})
Handler = Callable[[World, dict[str, Any], str], Thing]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: its pattern, the module with its typed parameters, and what it does."""

    method: str
    pattern: re.Pattern[str]
    params: str
    act: Handler


def find(method: str, path: str) -> tuple[Endpoint, str]:
    """The endpoint and the id in the path; Stripe's own 404 otherwise."""
    for endpoint in ENDPOINTS:
        if endpoint.method == method and (match := endpoint.pattern.fullmatch(path)):
            return endpoint, match.groupdict().get("id", "")
    raise StripeFault(404, f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs.")


def expand(world: World, thing: Thing, wishes: list[str]) -> Thing:
    """Put objects where their ids stand. https://docs.stripe.com/expand"""
    for wish in wishes:
        thing = _expanded(world, thing, wish.split("."), wish)
    return thing


EXPANDABLE: Final = {"payment_intent": "payment_intent", "latest_charge": "charge", "charge": "charge"}


def _expanded(world: World, thing: Thing, path: list[str], wish: str) -> Thing:
    head, *rest = path
    if head == "data" and thing.get("object") == "list":
        return {**thing, "data": [_expanded(world, row, rest, wish) if rest else row for row in thing["data"]]}
    if head == "line_items" and thing.get("object") == "checkout.session":
        return {**thing, "line_items": _items(world, thing["id"])}
    if head not in EXPANDABLE or head not in thing:
        raise StripeFault(400, f"This property cannot be expanded ({wish}).", param="expand")
    inner = thing[head]
    if isinstance(inner, str):
        inner = world.need(EXPANDABLE[head], inner)
    if inner is not None and rest:
        inner = _expanded(world, inner, rest, wish)
    return {**thing, head: inner}


def _items(world: World, session_id: str) -> Thing:
    rows = world.drawers.note(f"items:{session_id}") or []
    return {"object": "list", "data": rows, "has_more": False, "url": f"/v1/checkout/sessions/{session_id}/line_items"}


def _create_session(world: World, asked: dict[str, Any], _: str) -> Thing:
    if asked.get("mode") != "payment":
        raise StripeFault(
            400, f"Invalid mode: {asked.get('mode')}; this simulator knows payment", param="mode", code="parameter_invalid_value"
        )
    _need(asked, "line_items", "success_url")
    for number, row in enumerate(asked["line_items"]):
        _check_item(number, row)
    if sum(row["price_data"]["unit_amount"] * row["quantity"] for row in asked["line_items"]) < AMOUNT_MIN:
        raise StripeFault(400, "The Checkout Session's total amount must convert to at least 50 cents.", code="amount_too_small")
    for name in ("success_url", "cancel_url"):
        if name in asked and (urlsplit(asked[name]).scheme not in ("http", "https") or not urlsplit(asked[name]).netloc):
            raise StripeFault(400, "Not a valid URL", code="url_invalid", param=name)
    _check_metadata(asked, "metadata")
    _check_metadata(asked.get("payment_intent_data", {}), "payment_intent_data[metadata]")
    for method in asked.get("payment_method_types", []):
        if method not in METHODS:
            raise StripeFault(
                400, f"Invalid payment_method_types[0]: must be one of {', '.join(sorted(METHODS))}", param="payment_method_types"
            )
    ends = asked.get("expires_at")
    if ends is not None and not 1800 <= ends - world.drawers.now() <= 86400:  # noqa: PLR2004 - Stripe's own bounds
        raise StripeFault(400, "The `expires_at` timestamp must be between 30 minutes and 24 hours from now.", param="expires_at")
    return world.create_session(asked)


def _check_item(number: int, row: dict[str, Any]) -> None:
    place = f"line_items[{number}]"
    if "price_data" not in row:
        raise StripeFault(400, f"{place} needs price_data here", code="parameter_missing", param=f"{place}[price_data]")
    price = row["price_data"]
    for name in ("unit_amount", "product_data"):
        if name not in price:
            param = f"{place}[price_data][{name}]"
            raise StripeFault(400, f"Missing required param: {param}.", code="parameter_missing", param=param)
    if price["currency"] not in CURRENCIES:
        raise StripeFault(
            400, f"Invalid currency: {price['currency']}.", code="parameter_invalid_value", param=f"{place}[price_data][currency]"
        )
    if price["unit_amount"] < 0 or row.get("quantity", 0) < 1:
        raise StripeFault(
            400, "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param=f"{place}[quantity]"
        )


def _check_metadata(asked: dict[str, Any], param: str) -> None:
    """https://docs.stripe.com/api/metadata"""
    metadata = asked.get("metadata") or {}
    if len(metadata) > 50:  # noqa: PLR2004 - Stripe's own bound
        raise StripeFault(400, "Metadata can have at most 50 keys", param=param)
    for name, value in metadata.items():
        if len(name) > 40 or len(str(value)) > 500:  # noqa: PLR2004 - Stripe's own bounds
            raise StripeFault(400, f"Metadata keys have at most 40 characters, values 500: {name[:60]}", param=param)


def _need(asked: dict[str, Any], *names: str) -> None:
    for name in names:
        if not asked.get(name):
            raise StripeFault(400, f"Missing required param: {name}.", code="parameter_missing", param=name)


def _getter(kind: str) -> Handler:
    return lambda world, _, name: world.need(kind, name)


def _lister(kind: str, *filters: str) -> Handler:
    def act(world: World, asked: dict[str, Any], _: str) -> Thing:
        rows = (row for row in _window(world, kind, asked) if _matches(row, asked, filters))
        return _page(world, kind, rows, asked)

    return act


def _window(world: World, kind: str, asked: dict[str, Any]) -> Iterator[Thing]:
    """The objects on the side of the cursor that was asked for, newest first (or oldest first before ``ending_before``)."""
    for name in ("starting_after", "ending_before"):
        if name in asked and (place := world.drawers.place(asked[name])) is None:
            raise missing(kind, asked[name], name)
    if "ending_before" in asked:
        return world.drawers.oldest_first(kind, world.drawers.place(asked["ending_before"]) or 0)
    place = world.drawers.place(asked["starting_after"]) if "starting_after" in asked else None
    return world.drawers.newest_first(kind, place)


def _page(world: World, kind: str, rows: Iterator[Thing], asked: dict[str, Any]) -> Thing:
    """https://docs.stripe.com/api/pagination"""
    limit = asked.get("limit", 10)
    if not 1 <= limit <= 100:  # noqa: PLR2004 - Stripe's own bounds
        raise StripeFault(400, "This value must be between 1 and 100.", code="parameter_invalid_integer", param="limit")
    shown = [row for row, _ in zip(rows, range(limit + 1), strict=False)]
    page, more = shown[:limit], len(shown) > limit
    if "ending_before" in asked:
        page.reverse()
    del world
    return {"object": "list", "url": LIST_URLS[kind], "has_more": more, "data": page}


def _matches(row: Thing, asked: dict[str, Any], filters: tuple[str, ...]) -> bool:
    created = asked.get("created", {})
    bounds = created if isinstance(created, dict) else {"gte": created, "lte": created}
    compare = {"gt": row["created"].__gt__, "gte": row["created"].__ge__, "lt": row["created"].__lt__, "lte": row["created"].__le__}
    return all(compare[name](value) for name, value in bounds.items()) and all(
        row.get(name) == asked[name] for name in filters if name in asked
    )


def _events(world: World, asked: dict[str, Any], _: str) -> Thing:
    kinds = set(asked.get("types", [])) | ({asked["type"]} if "type" in asked else set())
    youngest = world.drawers.now() - EVENT_SECONDS

    def wanted(row: Thing) -> bool:
        delivered = asked.get("delivery_success")
        return (
            row["created"] >= youngest
            and (not kinds or any(row["type"] == kind or (kind.endswith(".*") and row["type"].startswith(kind[:-1])) for kind in kinds))
            and (delivered is None or delivered == (row["pending_webhooks"] == 0))
            and _matches(row, asked, ())
        )

    return _page(world, "event", filter(wanted, _window(world, "event", asked)), asked)


def _update_refund(world: World, asked: dict[str, Any], name: str) -> Thing:
    refund = world.need("refund", name)
    return world.drawers.put({**refund, "metadata": {**refund["metadata"], **asked.get("metadata", {})}})


def _cancel_refund(world: World, _: dict[str, Any], name: str) -> Thing:
    try:
        return world.end_refund(name, "canceled")
    except ConflictError as error:
        raise StripeFault(400, str(error)) from error


def _update_dispute(world: World, asked: dict[str, Any], name: str) -> Thing:
    dispute = world.need("dispute", name)
    changed = {
        **dispute,
        "metadata": {**dispute["metadata"], **asked.get("metadata", {})},
        "evidence": {**dispute["evidence"], **asked.get("evidence", {})},
    }
    world.happened("charge.dispute.updated", world.drawers.put(changed), {})
    return changed


def _close_dispute(world: World, _: dict[str, Any], name: str) -> Thing:
    try:
        return world.close_dispute(name, "lost")
    except ConflictError as error:
        raise StripeFault(400, str(error)) from error


def _create_endpoint(world: World, asked: dict[str, Any], _: str) -> Thing:
    return world.drawers.put(shapes.webhook_endpoint(world.drawers, asked))


def _update_endpoint(world: World, asked: dict[str, Any], name: str) -> Thing:
    endpoint = world.need("webhook_endpoint", name)
    disabled = asked.pop("disabled", None)
    status = {} if disabled is None else {"status": "disabled" if disabled else "enabled"}
    return world.drawers.put({**endpoint, **asked, **status})


def _delete_endpoint(world: World, _: dict[str, Any], name: str) -> Thing:
    world.need("webhook_endpoint", name)
    world.drawers.remove(name)
    return {"id": name, "object": "webhook_endpoint", "deleted": True}


LIST_URLS: Final = {
    "checkout.session": "/v1/checkout/sessions",
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "event": "/v1/events",
    "webhook_endpoint": "/v1/webhook_endpoints",
}


def _route(method: str, path: str, params: str, act: Handler) -> Endpoint:
    return Endpoint(method, re.compile(path.replace("{id}", "(?P<id>[A-Za-z0-9_]+)")), params, act)


ENDPOINTS: Final = (
    _route("POST", "/v1/checkout/sessions", "checkout._session_create_params", _create_session),
    _route("GET", "/v1/checkout/sessions", "checkout._session_list_params", _lister("checkout.session", "payment_intent", "status")),
    _route("GET", "/v1/checkout/sessions/{id}", "checkout._session_retrieve_params", _getter("checkout.session")),
    _route("POST", "/v1/checkout/sessions/{id}/expire", "checkout._session_expire_params", lambda w, _, name: w.expire_session(name)),
    _route(
        "GET",
        "/v1/checkout/sessions/{id}/line_items",
        "checkout._session_list_line_items_params",
        lambda w, _, name: _items(w, w.need("checkout.session", name)["id"]),
    ),
    _route("GET", "/v1/payment_intents", "_payment_intent_list_params", _lister("payment_intent", "customer")),
    _route("GET", "/v1/payment_intents/{id}", "_payment_intent_retrieve_params", _getter("payment_intent")),
    _route("GET", "/v1/charges", "_charge_list_params", _lister("charge", "payment_intent", "customer")),
    _route("GET", "/v1/charges/{id}", "_charge_retrieve_params", _getter("charge")),
    _route("POST", "/v1/refunds", "_refund_create_params", lambda w, asked, _: w.create_refund(asked)),
    _route("GET", "/v1/refunds", "_refund_list_params", _lister("refund", "charge", "payment_intent")),
    _route("GET", "/v1/refunds/{id}", "_refund_retrieve_params", _getter("refund")),
    _route("POST", "/v1/refunds/{id}", "_refund_update_params", _update_refund),
    _route("POST", "/v1/refunds/{id}/cancel", "_refund_cancel_params", _cancel_refund),
    _route("GET", "/v1/disputes", "_dispute_list_params", _lister("dispute", "charge", "payment_intent")),
    _route("GET", "/v1/disputes/{id}", "_dispute_retrieve_params", _getter("dispute")),
    _route("POST", "/v1/disputes/{id}", "_dispute_update_params", _update_dispute),
    _route("POST", "/v1/disputes/{id}/close", "_dispute_close_params", _close_dispute),
    _route("GET", "/v1/events", "_event_list_params", _events),
    _route("GET", "/v1/events/{id}", "_event_retrieve_params", _getter("event")),
    _route("POST", "/v1/webhook_endpoints", "_webhook_endpoint_create_params", _create_endpoint),
    _route("GET", "/v1/webhook_endpoints", "_webhook_endpoint_list_params", _lister("webhook_endpoint")),
    _route("GET", "/v1/webhook_endpoints/{id}", "_webhook_endpoint_retrieve_params", _getter("webhook_endpoint")),
    _route("POST", "/v1/webhook_endpoints/{id}", "_webhook_endpoint_update_params", _update_endpoint),
    _route("DELETE", "/v1/webhook_endpoints/{id}", "_webhook_endpoint_delete_params", _delete_endpoint),
)


def answer(world: World, endpoint: Endpoint, name: str, params: dict[str, Any]) -> Thing:
    """Check, act, expand."""
    asked = forms.check(endpoint.params, params)
    wishes = asked.pop("expand", [])
    return expand(world, endpoint.act(world, asked, name), wishes)
