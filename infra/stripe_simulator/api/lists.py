"""Returns lists in pages, and expands ids into objects.

https://docs.stripe.com/api/pagination and https://docs.stripe.com/expand
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from infra.stripe_simulator.errors import StripeFault, bad_integer, missing
from infra.stripe_simulator.objects import purchases
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

LIMIT_MAX, LIMIT_USUAL = 100, 10
EXPAND_DEPTH_MAX: Final = 4
EVENT_SECONDS: Final = 30 * 86400
"""How long events are listed, 30 days: https://docs.stripe.com/api/events/list"""
URLS: Final = {
    "checkout.session": "/v1/checkout/sessions",
    "payment_intent": "/v1/payment_intents",
    "charge": "/v1/charges",
    "customer": "/v1/customers",
    "payment_method": "/v1/payment_methods",
    "refund": "/v1/refunds",
    "dispute": "/v1/disputes",
    "balance_transaction": "/v1/balance_transactions",
    "event": "/v1/events",
    "webhook_endpoint": "/v1/webhook_endpoints",
}
_EXPANDABLE: Final = {
    "payment_intent": "payment_intent",
    "latest_charge": "charge",
    "charge": "charge",
    "customer": "customer",
    "payment_method": "payment_method",
    "balance_transaction": "balance_transaction",
    "failure_balance_transaction": "balance_transaction",
}
_WHOLE: Final = ("balance_transactions",)
"""Attributes that hold complete objects already. Expanding them is allowed and changes nothing."""


def page(world: World, kind: str, asked: dict[str, Any], wanted: Callable[[Thing], bool]) -> Thing:
    """Return one page of the objects of a kind, newest first. ``wanted`` filters them."""
    rows = (row for row in _window(world, kind, asked) if _created(row, asked) and wanted(row))
    return _list(rows, asked, URLS[kind])


def matching(asked: dict[str, Any], names: Iterable[str]) -> Callable[[Thing], bool]:
    """Return a function that says whether an object passes the filters in a list request.

    ``asked`` has the request's parameters, and ``names`` says which of them are filters. Each
    filter that was given must equal the object's attribute of that name.
    """
    filters = {name: asked[name] for name in names if name in asked}
    return lambda row: all(row.get(name) == value for name, value in filters.items())


def events(world: World, asked: dict[str, Any]) -> Thing:
    """Return a page of events. They can be filtered by type and by whether all were delivered.

    https://docs.stripe.com/api/events/list
    """
    if "type" in asked and "types" in asked:
        message = "You may only specify one of these parameters: type, types."
        raise StripeFault(400, message, code="parameters_exclusive", param="types")
    kinds = asked.get("types") or ([asked["type"]] if "type" in asked else ["*"])
    oldest, delivered = world.store.now() - EVENT_SECONDS, asked.get("delivery_success")

    def wanted(row: Thing) -> bool:
        if row["created"] < oldest or delivered not in (None, row["pending_webhooks"] == 0):
            return False
        return any(_is_of_type(row["type"], kind) for kind in kinds)

    return page(world, "event", asked, wanted)


def _is_of_type(found: str, asked: str) -> bool:
    return found == asked or (asked.endswith("*") and found.startswith(asked[:-1]))


def line_items(world: World, session_id: str, asked: dict[str, Any]) -> Thing:
    """Return the line items of a Checkout Session, in the order in which they were given."""
    rows = purchases.line_items(world, session_id)
    names = [row["id"] for row in rows]
    if (after := asked.get("starting_after")) is not None:
        if after not in names:
            raise missing("item", after, "starting_after")
        rows = rows[names.index(after) + 1 :]
    url = f"/v1/checkout/sessions/{session_id}/line_items"
    return _list(iter(rows), {"limit": asked.get("limit", LIMIT_USUAL)}, url)


def _window(world: World, kind: str, asked: dict[str, Any]) -> Iterator[Thing]:
    """Yield the objects of a kind beyond the cursor in ``asked``, or all without a cursor.

    The cursor is ``starting_after`` or ``ending_before``. The objects are newest first, or oldest
    first with ``ending_before``. Raises StripeFault for two cursors, or for an unknown one.
    """
    cursors = [name for name in ("starting_after", "ending_before") if name in asked]
    if len(cursors) > 1:
        message = "You may only specify one of these parameters: ending_before, starting_after."
        raise StripeFault(400, message, code="parameters_exclusive", param="starting_after")
    if not cursors:
        return world.store.newest_first(kind)
    (cursor,) = cursors
    sequence = world.store.sequence(kind, asked[cursor])
    if sequence is None:
        raise missing(kind, asked[cursor], cursor)
    if cursor == "starting_after":
        return world.store.newest_first(kind, sequence)
    return world.store.oldest_first(kind, sequence)


def _list(rows: Iterator[Thing], asked: dict[str, Any], url: str) -> Thing:
    limit = asked.get("limit", LIMIT_USUAL)
    if limit < 1:
        raise bad_integer("This value must be greater than or equal to 1.", "limit")
    if limit > LIMIT_MAX:
        raise bad_integer(f"This value must be less than or equal to {LIMIT_MAX}.", "limit")
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
    """Return ``thing`` with the ids at the paths ``wishes`` replaced by the objects.

    A path is for example ``payment_intent.latest_charge``. In a list each path begins with
    ``data``.
    """
    for wish in wishes:
        path = wish.split(".")
        if len(path) > EXPAND_DEPTH_MAX:
            message = (
                f"You cannot expand more than {EXPAND_DEPTH_MAX} levels of a property ({wish})."
            )
            raise StripeFault(400, message, param="expand")
        if thing["object"] == "list":
            head, *rest = path
            if head != "data" or not rest:
                message = (
                    f"This property cannot be expanded ({wish})."
                    f" You may want to try expanding 'data.{wish}' instead."
                )
                raise StripeFault(400, message, param="expand")
            rows = [_expand_one(world, row, rest, wish) for row in thing["data"]]
            thing = {**thing, "data": rows}
        else:
            thing = _expand_one(world, thing, path, wish)
    return thing


def _expand_one(world: World, thing: Thing, path: list[str], wish: str) -> Thing:
    head, *rest = path
    if head == "line_items" and thing["object"] == "checkout.session":
        return {**thing, "line_items": line_items(world, thing["id"], {})}
    if head == "refunds" and thing["object"] == "charge":
        rows = (row for row in world.store.newest_first("refund") if row["charge"] == thing["id"])
        return {**thing, "refunds": _list(rows, {}, f"/v1/charges/{thing['id']}/refunds")}
    if head not in thing or head not in (*_EXPANDABLE, *_WHOLE):
        raise StripeFault(400, f"This property cannot be expanded ({wish}).", param="expand")
    inner = thing[head]
    if isinstance(inner, str):
        inner = world.need(_EXPANDABLE[head], inner)
    if isinstance(inner, dict) and rest:
        inner = _expand_one(world, inner, rest, wish)
    return {**thing, head: inner}
