"""Lists and expansion: https://docs.stripe.com/api/pagination and https://docs.stripe.com/expand."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from infra.stripe_simulator.api.errors import StripeFault, bad_integer, missing
from infra.stripe_simulator.objects import purchases
from infra.stripe_simulator.objects.store import Thing
from infra.stripe_simulator.objects.world import World

LIMIT_MAX, LIMIT_USUAL = 100, 10
EXPAND_DEPTH_MAX: Final = 4
EVENT_SECONDS: Final = 30 * 86400
"""https://docs.stripe.com/api/events/list: going back up to 30 days."""
URLS: Final = {
    "checkout.session": "/v1/checkout/sessions",
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "balance_transaction": "/v1/balance_transactions",
    "event": "/v1/events",
    "webhook_endpoint": "/v1/webhook_endpoints",
}
_PLACES: Final = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "balance_transaction": "balance_transaction",
    "failure_balance_transaction": "balance_transaction",
}
_WHOLE: Final = ("balance_transactions",)
"""Already there in full; asking for them is no mistake."""


def page(world: World, kind: str, asked: dict[str, Any], wanted: Callable[[Thing], bool]) -> Thing:
    """The objects of a kind that are wanted, newest first."""
    rows = (row for row in _window(world, kind, asked) if _created(row, asked) and wanted(row))
    return _list(rows, asked, URLS[kind])


def matching(asked: dict[str, Any], names: Iterable[str]) -> Callable[[Thing], bool]:
    """Objects whose attributes are those that were asked for."""
    filters = {name: asked[name] for name in names if name in asked}
    return lambda row: all(row.get(name) == value for name, value in filters.items())


def events(world: World, asked: dict[str, Any]) -> Thing:
    """https://docs.stripe.com/api/events/list: by type, by several, by ``charge.*``, and by whether all webhooks arrived."""
    if "type" in asked and "types" in asked:
        told = "You may only specify one of these parameters: type, types."
        raise StripeFault(400, told, code="parameters_exclusive", param="types")
    kinds = asked.get("types") or ([asked["type"]] if "type" in asked else ["*"])
    oldest, delivered = world.drawers.now() - EVENT_SECONDS, asked.get("delivery_success")

    def wanted(row: Thing) -> bool:
        named = any(
            row["type"] == kind or (kind.endswith("*") and row["type"].startswith(kind[:-1]))
            for kind in kinds
        )
        return (
            row["created"] >= oldest and named and delivered in (None, row["pending_webhooks"] == 0)
        )

    return page(world, "event", asked, wanted)


def line_items(world: World, session_id: str, asked: dict[str, Any]) -> Thing:
    """Of a Checkout Session, in the order in which they were given."""
    rows, names = (
        purchases.line_items(world, session_id),
        [row["id"] for row in purchases.line_items(world, session_id)],
    )
    if (after := asked.get("starting_after")) is not None:
        if after not in names:
            raise missing("item", after, "starting_after")
        rows = rows[names.index(after) + 1 :]
    return _list(
        iter(rows),
        {"limit": asked.get("limit", LIMIT_USUAL)},
        f"/v1/checkout/sessions/{session_id}/line_items",
    )


def _window(world: World, kind: str, asked: dict[str, Any]) -> Iterator[Thing]:
    """The objects on the side of the cursor that was asked for: newest first, or oldest first before ``ending_before``."""
    cursors = [name for name in ("starting_after", "ending_before") if name in asked]
    if len(cursors) > 1:
        told = "You may only specify one of these parameters: ending_before, starting_after."
        raise StripeFault(400, told, code="parameters_exclusive", param="starting_after")
    if not cursors:
        return world.drawers.newest_first(kind)
    place = world.drawers.place(kind, asked[cursors[0]])
    if place is None:
        raise missing(kind, asked[cursors[0]], cursors[0])
    return (
        world.drawers.newest_first(kind, place)
        if cursors[0] == "starting_after"
        else world.drawers.oldest_first(kind, place)
    )


def _list(rows: Iterator[Thing], asked: dict[str, Any], url: str) -> Thing:
    limit = asked.get("limit", LIMIT_USUAL)
    if not 1 <= limit <= LIMIT_MAX:
        told = f"This value must be {'greater' if limit < 1 else 'less'} than or equal to {1 if limit < 1 else LIMIT_MAX}."
        raise bad_integer(told, "limit")
    shown = [row for row, _ in zip(rows, range(limit + 1), strict=False)]
    found = shown[:limit]
    if "ending_before" in asked:
        found.reverse()
    return {"object": "list", "data": found, "has_more": len(shown) > limit, "url": url}


def _created(row: Thing, asked: dict[str, Any]) -> bool:
    given = asked.get("created", {})
    bounds = given if isinstance(given, dict) else {"gte": given, "lte": given}
    made: int = row["created"]
    tests = {"gt": made.__gt__, "gte": made.__ge__, "lt": made.__lt__, "lte": made.__le__}
    return all(tests[name](value) for name, value in bounds.items())


def expand(world: World, thing: Thing, wishes: list[str]) -> Thing:
    """Put objects where their ids stand; in a list below ``data``."""
    for wish in wishes:
        path = wish.split(".")
        if len(path) > EXPAND_DEPTH_MAX:
            raise StripeFault(
                400,
                f"You cannot expand more than {EXPAND_DEPTH_MAX} levels of a property ({wish}).",
                param="expand",
            )
        if thing["object"] == "list":
            head, *rest = path
            if head != "data" or not rest:
                told = f"This property cannot be expanded ({wish}). You may want to try expanding 'data.{wish}' instead."
                raise StripeFault(400, told, param="expand")
            thing = {**thing, "data": [_expanded(world, row, rest, wish) for row in thing["data"]]}
        else:
            thing = _expanded(world, thing, path, wish)
    return thing


def _expanded(world: World, thing: Thing, path: list[str], wish: str) -> Thing:
    head, *rest = path
    if head == "line_items" and thing["object"] == "checkout.session":
        return {**thing, "line_items": line_items(world, thing["id"], {})}
    if head == "refunds" and thing["object"] == "charge":
        rows = (row for row in world.drawers.newest_first("refund") if row["charge"] == thing["id"])
        return {**thing, "refunds": _list(rows, {}, f"/v1/charges/{thing['id']}/refunds")}
    if head not in thing or head not in (*_PLACES, *_WHOLE):
        raise StripeFault(400, f"This property cannot be expanded ({wish}).", param="expand")
    inner = thing[head]
    if isinstance(inner, str):
        inner = world.need(_PLACES[head], inner)
    if isinstance(inner, dict) and rest:
        inner = _expanded(world, inner, rest, wish)
    return {**thing, head: inner}
