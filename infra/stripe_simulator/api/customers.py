"""Defines the routes of customers and payment methods, with Stripe's rules for parameters.

https://docs.stripe.com/api/customers and https://docs.stripe.com/api/payment_methods
"""

import re
from typing import Any, Final

from infra.stripe_simulator.api import lists, rules
from infra.stripe_simulator.api.endpoint import lister, route
from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.objects import customers, methods
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_NOT_SIMULATED: Final = ("cash_balance", "default_source", "source", "tax_id_data", "test_clock")


def _check(asked: dict[str, Any]) -> None:
    rules.check_metadata("metadata", asked.get("metadata", {}))
    email = asked.get("email", "")
    if email and not _EMAIL.fullmatch(email):
        raise StripeFault(
            400, f"Invalid email address: {email}", code="email_invalid", param="email"
        )
    for name in _NOT_SIMULATED:
        if name in asked:
            message = f"This simulator has customers without {name}."
            raise StripeFault(400, message, param=name)


def _create(world: World, _: str, asked: dict[str, Any]) -> Thing:
    _check(asked)
    return customers.create(world, asked)


def _update(world: World, name: str, asked: dict[str, Any]) -> Thing:
    _check(asked)
    return customers.update(world, name, asked)


def _attach(world: World, name: str, asked: dict[str, Any]) -> Thing:
    if "customer" not in asked:
        raise rules.missing_param("customer")
    return methods.attach(world, name, asked["customer"])


def _list_methods(world: World, _: str, asked: dict[str, Any]) -> Thing:
    """Return a page of the saved payment methods of one customer, or of all customers.

    https://docs.stripe.com/api/payment_methods/list
    """
    if owner := asked.get("customer"):
        world.need("customer", owner, "customer", 400)
    same = lists.matching(asked, ("allow_redisplay", "customer", "type"))
    return lists.page(
        world, "payment_method", asked, lambda row: bool(row["customer"]) and same(row)
    )


def _list_own(world: World, name: str, asked: dict[str, Any]) -> Thing:
    return _list_methods(world, "", {**asked, "customer": world.need("customer", name)["id"]})


CUSTOMERS, METHODS = "/v1/customers", "/v1/payment_methods"
ENDPOINTS: Final = (
    route(f"POST {CUSTOMERS}", "_customer_create_params", _create),
    route(f"GET {CUSTOMERS}", "_customer_list_params", lister("customer", "email")),
    route(
        f"GET {CUSTOMERS}/{{id}}",
        "_customer_retrieve_params",
        lambda world, name, _: customers.retrieve(world, name),
    ),
    route(f"POST {CUSTOMERS}/{{id}}", "_customer_update_params", _update),
    route(
        f"DELETE {CUSTOMERS}/{{id}}",
        "_customer_delete_params",
        lambda world, name, _: customers.delete(world, name),
    ),
    route(
        f"GET {CUSTOMERS}/{{id}}/payment_methods",
        "_customer_list_payment_methods_params",
        _list_own,
    ),
    route(f"GET {METHODS}", "_payment_method_list_params", _list_methods),
    route(
        f"GET {METHODS}/{{id}}",
        "_payment_method_retrieve_params",
        lambda world, name, _: methods.find(world, name),
    ),
    route(f"POST {METHODS}/{{id}}/attach", "_payment_method_attach_params", _attach),
    route(
        f"POST {METHODS}/{{id}}/detach",
        "_payment_method_detach_params",
        lambda world, name, _: methods.detach(world, name),
    ),
)
