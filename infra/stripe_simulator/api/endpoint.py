"""Defines an endpoint of Stripe's API, and the functions to get one object or list some."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.stripe_simulator.api import lists
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

Act = Callable[[World, str, dict[str, Any]], Thing]
"""Takes the id in the path ("" where there is none) and the checked parameters, and returns the
answer."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route of the API: its method and path, its parameters, and the function that answers it.

    ``pattern`` matches the path, and ``params`` names the module of the stripe package that
    declares the parameters.
    """

    method: str
    path: str
    pattern: re.Pattern[str]
    params: str
    act: Act


def route(line: str, typed: str, act: Act) -> Endpoint:
    """Return the endpoint for a method and path, for example ``GET /v1/charges/{id}``.

    ``typed`` names the module of the stripe package that declares the route's parameters. ``act``
    is the function that answers a call.
    """
    method, _, path = line.partition(" ")
    pattern = re.compile(path.replace("{id}", "(?P<id>[A-Za-z0-9_]+)"))
    return Endpoint(method, path, pattern, typed, act)


def getter(kind: str) -> Act:
    """Return a Python function that answers ``GET`` of one object of type ``kind``.

    The function returns the object with the id in the path, or raises Stripe's 404.
    """
    return lambda world, name, _: world.need(kind, name)


def lister(kind: str, *names: str) -> Act:
    """Return the function of a route that answers a page of objects of this kind.

    The parameters ``names`` filter the objects.
    """
    return lambda world, _, asked: lists.page(world, kind, asked, lists.matching(asked, names))
