"""Checks the bodies of the control API. Errors say what was expected."""

import json
from dataclasses import replace
from typing import Any, Final

from infra.stripe_simulator.api import rest
from infra.stripe_simulator.api.faults import SILENCE_SECONDS_MAX, Fault
from infra.stripe_simulator.deliveries.sender import DeliveryOptions
from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.objects import cards

Body = dict[str, Any]
STATUS_MIN, STATUS_MAX = 400, 599
FAULT_SCHEMA: Final = (
    '{"route": "POST /v1/checkout/sessions", "times": 1} with one of "status": 400 to 599,'
    ' "timeout": true or seconds, "delay": seconds; or with "after": true, alone or beside "status"'
    ' or "timeout"'
)
OPTIONS_SCHEMA: Final = (
    'any of {"drop": 0 to 1, "duplicate": 0 to 1, "reorder": true or false, "pause": true or false}'
)
KEYS_SCHEMA: Final = '{"accept": ["sk_test_...", ...]} with at least one key'


class BadInputError(Exception):
    """A malformed body of a request to the control API."""


def parse(text: bytes) -> Body:
    """Return the JSON object in the body, or {} for an empty body.

    Raises BadInputError if the body is not JSON, or is JSON but not an object.
    """
    try:
        body = json.loads(text or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"the body must be JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadInputError("the body must be a JSON object")
    return body


def check_members(body: Body, *allowed: str) -> None:
    """Raise BadInputError for a member that is not allowed."""
    if others := [key for key in body if key not in allowed]:
        known = ", ".join(allowed) or "nothing, the body may be empty"
        raise BadInputError(f"{others[0]} is not known here; known: {known}")


def one_of(body: Body, name: str, *allowed: str) -> str:
    """Return a member of the body. Raises BadInputError unless its value is allowed."""
    value = body.get(name)
    if value not in allowed:
        raise BadInputError(f"{name} must be one of {', '.join(allowed)}, not {json.dumps(value)}")
    return str(value)


def amount_in(body: Body, *beside: str) -> int | None:
    """Return the amount in the body, in minor units, or None if there is none.

    Besides ``amount``, the body may have only the members ``beside``. Raises BadInputError for
    any other member, and for an invalid amount.
    """
    check_members(body, "amount", *beside)
    return whole_number(body["amount"], "amount") if "amount" in body else None


def whole_number(value: object, name: str) -> int:
    """Return the value. Raises BadInputError unless it is an integer of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadInputError(f"{name} must be a whole number of 0 or more, not {json.dumps(value)}")
    return value


def behaviours_in(body: Body) -> list[str]:
    """Return the outcomes for the next off-session charges of a card. The list may be empty."""
    check_members(body, "next")
    words = body.get("next")
    if not isinstance(words, list) or not all(word in cards.BEHAVIOURS for word in words):
        expected = f"next must be a list of {', '.join(cards.BEHAVIOURS)}"
        raise BadInputError(f"{expected}, not {json.dumps(words)}")
    return words


def keys_in(body: Body) -> list[str]:
    """Return the secret keys of Stripe that the simulator must accept.

    They are the body's member ``accept``. Raises BadInputError unless it has at least one.
    """
    check_members(body, "accept")
    accept = body.get("accept")
    if not isinstance(accept, list) or not accept or not all(map(_is_key, accept)):
        raise BadInputError(f"expected {KEYS_SCHEMA}, not {json.dumps(accept)}")
    return accept


def delivery_options_in(body: Body, present: DeliveryOptions) -> DeliveryOptions:
    """Return the present delivery options, changed by those in the body.

    Options that the body does not name stay as they are.
    """
    for name, value in body.items():
        is_chance = name in ("drop", "duplicate") and _is_number(value) and 0 <= value <= 1
        is_switch = name in ("reorder", "pause") and isinstance(value, bool)
        if not is_chance and not is_switch:
            given = json.dumps({name: value})
            raise BadInputError(f"expected {OPTIONS_SCHEMA}, not {given}")
    return replace(present, **body)


def fault_in(body: Body) -> Fault:
    """Return the fault to simulate that the body describes. Raises BadInputError for a wrong body.

    If its ``after`` is true, the call is carried out and only the answer is lost. Then at most one
    of ``status`` and ``timeout`` may be above 0. Otherwise exactly one of ``status``, ``timeout``
    and ``delay`` must be.
    """
    check_members(body, "route", "times", "status", "timeout", "delay", "after")
    route, times = body.get("route"), whole_number(body.get("times", 1), "times")
    if not isinstance(route, str):
        raise BadInputError(f"expected {FAULT_SCHEMA}")
    _check_route(route)
    status, silence, delay = body.get("status", 0), body.get("timeout", 0), body.get("delay", 0)
    if silence is True:
        silence = SILENCE_SECONDS_MAX
    kinds = (status, silence, delay)
    are_numbers = all(_is_number(kind) and kind >= 0 for kind in kinds)
    after = body.get("after", False)
    if not are_numbers or not isinstance(after, bool) or not _is_one_fault(*kinds, after=after):
        raise BadInputError(f"expected {FAULT_SCHEMA}")
    if status and not (isinstance(status, int) and STATUS_MIN <= status <= STATUS_MAX):
        raise BadInputError(f"expected {FAULT_SCHEMA}")
    silence, delay = min(silence, SILENCE_SECONDS_MAX), min(delay, SILENCE_SECONDS_MAX)
    return Fault(route, times, status, silence, delay, after)


def _is_one_fault(status: float, silence: float, delay: float, *, after: bool) -> bool:
    """Return whether these values describe one fault.

    Without ``after``, exactly one value must be above 0. With ``after``, the call is carried out
    and its answer is lost. The caller then gets silence or a ``status``, but not both, and no
    ``delay``.
    """
    if after:
        return not delay and not (status and silence)
    return sum(kind > 0 for kind in (status, silence, delay)) == 1


def _check_route(route: str) -> None:
    method, _, path = route.replace("{id}", "any").partition(" ")
    try:
        rest.find(method, path)
    except StripeFault as unknown:
        known = ", ".join(f"{endpoint.method} {endpoint.path}" for endpoint in rest.ENDPOINTS)
        raise BadInputError(f"there is no route {route}; known are {known}") from unknown


def _is_key(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
