"""Automatic top-ups by the handlers: what a customer, the card and the schedule do."""

import itertools
import json
from typing import Any

from functional.lab import Lab, Said
from simulator.lab import Lab as Stripe

ROUTE = "/quota/auto-top-up"
TERMS: dict[str, Any] = {"plan": "starter", "when_below": 150, "max_per_month": 2, "agreed": True}
SCHEDULE = {"sweep": True}
CREATE = "POST /v1/payment_intents"
UNITS = 100


_numbers = itertools.count(1)
_users = [""]


def begin() -> None:
    """A new customer comes."""
    _users[0] = f"customer-{next(_numbers)}"


def user() -> str:
    """A customer of this test alone: the simulator remembers those of others."""
    return _users[0]


def call(lab: Lab, method: str, path: str, body: Any = None, **how: Any) -> Said:
    """One call of this test's customer's."""
    return lab.call(method, path, sub=user(), body=body, **how)


def checkout(lab: Lab, **members: Any) -> Said:
    """A checkout of the starter plan."""
    return call(lab, "POST", "/payments/checkout", {"plan": "starter", **members})


def agree(lab: Lab, **members: Any) -> Said:
    """To the usual terms, but for these members."""
    return call(lab, "PUT", ROUTE, TERMS | members)


def save_a_card(lab: Lab, stripe: Stripe) -> dict[str, Any]:
    """A checkout that keeps the card. Returns its session at Stripe."""
    said = checkout(lab, remember_card=True)
    assert said.status == 201, said.json
    name = said.json["session_id"]
    stripe.control(f"sessions/{name}/pay", method="card")
    call(lab, "POST", f"/payments/{name}/confirm")
    found: dict[str, Any] = stripe.client.v1.checkout.sessions.retrieve(name).to_dict()
    return found


def sweep(lab: Lab) -> None:
    """The minute's schedule, and the messages that it sends."""
    lab.ask("auto_top_up", SCHEDULE)
    lab.ask("auto_top_up", {"Records": [{"body": json.dumps({"user_id": user()})}]})


def automatic(lab: Lab) -> list[dict[str, Any]]:
    """Automatic payments, newest first."""
    found = call(lab, "GET", "/payments").json["payments"]
    return [row for row in found if row["session_id"] is None]
