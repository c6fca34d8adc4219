"""Makes, changes and deletes customers. https://docs.stripe.com/api/customers."""

import secrets
from typing import Any, Final

from infra.stripe_simulator.errors import missing
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects import methods
from infra.stripe_simulator.objects.world import World, merge_metadata
from infra.stripe_simulator.store import Thing

CUSTOMER_NULLS: Final = (
    "address",
    "currency",
    "customer_account",
    "default_source",
    "description",
    "discount",
    "email",
    "name",
    "phone",
    "shipping",
    "test_clock",
)
ECHOED: Final = (
    "address",
    "balance",
    "description",
    "email",
    "invoice_prefix",
    "name",
    "next_invoice_sequence",
    "phone",
    "preferred_locales",
    "shipping",
    "tax_exempt",
)
"""Parameters that a customer shows as they were given."""


def create(world: World, asked: dict[str, Any]) -> Thing:
    """Make a customer and return it.

    https://docs.stripe.com/api/customers/create
    """
    made = world.store.put({**_blank(world), **_given(asked, {})})
    world.happened("customer.created", made)
    if "payment_method" in asked:
        methods.attach(world, asked["payment_method"], made["id"])
    return made


def _blank(world: World) -> Thing:
    """Return a new customer without any details.

    https://docs.stripe.com/api/customers/object
    """
    settings = dict.fromkeys(
        ("custom_fields", "default_payment_method", "footer", "rendering_options")
    )
    return {
        "id": new_id("customer"),
        "object": "customer",
        **dict.fromkeys(CUSTOMER_NULLS),
        "balance": 0,
        "created": world.store.now(),
        "delinquent": False,
        "invoice_prefix": secrets.token_hex(4).upper(),
        "invoice_settings": settings,
        "livemode": False,
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }


def _given(asked: dict[str, Any], before: Thing) -> Thing:
    """Return the attributes of a customer that the parameters ``asked`` set.

    An empty string removes a value. ``before`` is the customer as it was, or {}.
    """
    given: Thing = {name: asked[name] or None for name in ECHOED if name in asked}
    if "metadata" in asked:
        given["metadata"] = merge_metadata(before.get("metadata", {}), asked["metadata"])
    return given


def retrieve(world: World, name: str) -> Thing:
    """Return the customer, or the short object that stands for a deleted one.

    https://docs.stripe.com/api/customers/retrieve
    """
    if world.store.note(f"deleted:{name}"):
        return _deleted(name)
    return world.need("customer", name)


def update(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """Change the customer, and return it.

    https://docs.stripe.com/api/customers/update
    """
    found = world.need("customer", name)
    given = _given(asked, found)
    if chosen := asked.get("invoice_settings", {}).get("default_payment_method"):
        _check_default(world, chosen, name)
        given["invoice_settings"] = {**found["invoice_settings"], "default_payment_method": chosen}
    changed = {key: value for key, value in given.items() if found[key] != value}
    if not changed:
        return found
    after = world.change(found, **changed)
    world.happened("customer.updated", after, {key: found[key] for key in changed})
    return after


def _check_default(world: World, method: str, customer: str) -> None:
    """Raise 400 for a default payment method that is not the customer's own."""
    found = world.store.get("payment_method", method)
    if found is None or found["customer"] != customer:
        param = "invoice_settings[default_payment_method]"
        raise missing("PaymentMethod", method, param, 400)


def delete(world: World, name: str) -> Thing:
    """Delete the customer for good. Their payment methods cannot be used again.

    https://docs.stripe.com/api/customers/delete
    """
    found = world.need("customer", name)
    for method in list(world.store.newest_first("payment_method")):
        if method["customer"] == name:
            methods.detach(world, method["id"])
    world.store.remove(name)
    world.store.note(f"deleted:{name}", value=True)
    world.happened("customer.deleted", found)
    return _deleted(name)


def _deleted(name: str) -> Thing:
    return {"id": name, "object": "customer", "deleted": True}
