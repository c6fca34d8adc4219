"""Counts the work of every route: calls of DynamoDB and Stripe, capacity units and bytes.

Counts are the same on any machine.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from billing.spending import memory

from bench import customers
from bench.rows import Row
from bench.stage import Stage, stage
from bench.subjects import TEMPLATE
from bench.wire import Traffic

NONE: Final = {"dynamo": 0, "stripe": 0}
ONE: Final = {"dynamo": 1, "stripe": 0}
ONE_MORE: Final = {"dynamo": 2, "stripe": 0}
GOALS: Final = {
    "checkout": {"dynamo": 2, "stripe": 1},
    "settle a payment": ONE,
    "duplicate delivery": ONE,
    "read the quota": ONE,
    "read the quota, a hold expired meanwhile": ONE_MORE,
    "debit": ONE,
    "debit, in a container that has not seen the account": ONE,
    "debit, with a threshold set": ONE,
    "debit, over the threshold": ONE,
    "debit, a hold expired meanwhile": ONE_MORE,
    "debit with a key": ONE,
    "debit with a key, a hold expired meanwhile": ONE_MORE,
    "debit by an API key": ONE,
    "debit by an API key with a limit": ONE,
    "debit by an API key with a limit, in a container that has not seen the account": ONE,
    "show a key to its holder": ONE_MORE,
    "authorize a call by a key with a limit": ONE_MORE,
    "list plans": NONE,
    "the page": NONE,
    "a file of the page": NONE,
    "the API's description": NONE,
}


def rows() -> Iterator[Row]:
    """Yield the calls of each operation, with goals where there are any, then what it consumes."""
    with stage() as on:
        for name, traffic in operations(on):
            goals = GOALS.get(name, {})
            yield Row(
                "work", f"{name}: DynamoDB calls", traffic.dynamo, "calls", goals.get("dynamo")
            )
            yield Row("work", f"{name}: Stripe calls", traffic.stripe, "calls", goals.get("stripe"))
            yield Row("work", f"{name}: write units", traffic.write_units, "WCU")
            yield Row(
                "work", f"{name}: write units on the busiest table", traffic.busiest_units, "WCU"
            )
            yield Row("work", f"{name}: read units", traffic.read_units, "RCU")
            yield Row("work", f"{name}: bytes both ways", traffic.moved_bytes, "bytes")
        missing = {f"{route.method} {route.path}" for route in TEMPLATE.routes()} - on.called
    yield Row(
        "work", "routes of the template that are not in this table", len(missing), "routes", 0
    )


def operations(on: Stage) -> Iterator[tuple[str, Traffic]]:
    """Every route in the states that are usual for it.

    A container is warm by default: it has seen the account before.
    """
    yield from _buying(on)
    yield from _paid(on)
    yield from _debiting(on)
    yield from _debiting_over_a_threshold(on)
    yield from _debiting_with_key(on)
    yield from _holding(on)
    yield from _expiring(on)
    yield from _reading(on)
    yield from _keys(on)
    yield from _keyed_debits(on)
    yield from customers.operations(on)
    yield from _public(on)


def _counted(on: Stage, act: Callable[[], Any]) -> Traffic:
    with on.tap.counting() as traffic:
        act()
    return traffic


def _another_container() -> None:
    """It remembers no balance."""
    memory._seen.clear()


def _customer(on: Stage, name: str) -> str:
    """A customer with units, whose day has begun and whom this container has seen."""
    on.deliver(on.bought(name, "enterprise"))
    on.debit(name)
    return name


def _buying(on: Stage) -> Iterator[tuple[str, Traffic]]:
    def buy(**headers: str) -> object:
        return on.call("POST", "/payments/checkout", "alice", {"plan": "pro"}, None, **headers)

    buy()
    yield "checkout", _counted(on, buy)
    yield "checkout with a key", _counted(on, lambda: buy(idempotency_key="bought"))
    yield "checkout with a key, repeated", _counted(on, lambda: buy(idempotency_key="bought"))
    on.deliver(on.bought("alice", "enterprise"))
    event = on.bought("alice")
    intent = event["data"]["object"]["payment_intent"]
    yield "settle a payment", _counted(on, lambda: on.deliver(event))
    yield "duplicate delivery", _counted(on, lambda: on.deliver(event))
    on.stripe.client.v1.refunds.create({"payment_intent": intent, "amount": 500})
    refunded = on.event("charge.refunded")
    yield "settle a refund", _counted(on, lambda: on.deliver(refunded))


def _paid(on: Stage) -> Iterator[tuple[str, Traffic]]:
    paid = on.bought("alice")["data"]["object"]
    name, ours = paid["id"], paid["metadata"]["payment_id"]
    yield (
        "confirm, ahead of the webhook",
        _counted(on, lambda: on.call("POST", f"/payments/{name}/confirm", "alice")),
    )
    yield (
        "confirm, after it",
        _counted(on, lambda: on.call("POST", f"/payments/{name}/confirm", "alice")),
    )
    yield "receipt", _counted(on, lambda: on.call("GET", f"/payments/{name}/receipt", "alice"))
    yield "a payment by its id", _counted(on, lambda: on.call("GET", f"/payments/{ours}", "alice"))
    yield (
        "a payment by its session's id",
        _counted(on, lambda: on.call("GET", f"/payments/{name}", "alice")),
    )
    yield "list payments", _counted(on, lambda: on.call("GET", "/payments", "alice"))


def _debiting(on: Stage) -> Iterator[tuple[str, Traffic]]:
    yield "debit, the first of a day", _counted(on, lambda: on.debit("alice"))
    yield "debit", _counted(on, lambda: on.debit("alice"))
    _another_container()
    yield (
        "debit, in a container that has not seen the account",
        _counted(on, lambda: on.debit("alice")),
    )


def _debiting_over_a_threshold(on: Stage) -> Iterator[tuple[str, Traffic]]:
    """Events go out, and automatic top-ups are offered."""
    with on.watching(low_at=9_998):
        on.deliver(on.bought("dora", "enterprise"))
        on.debit("dora")
        yield "debit, with a threshold set", _counted(on, lambda: on.debit("dora"))
        yield "debit, over the threshold", _counted(on, lambda: on.debit("dora"))


def _debiting_with_key(on: Stage) -> Iterator[tuple[str, Traffic]]:
    on.debit("alice", "warm")
    yield "debit with a key", _counted(on, lambda: on.debit("alice", "counted"))
    yield "debit with a key, repeated", _counted(on, lambda: on.debit("alice", "counted"))
    _another_container()
    yield (
        "debit with a key, in a container that has not seen the account",
        _counted(on, lambda: on.debit("alice", "cold")),
    )
    seen = dict(memory._seen)
    _another_container()
    on.debit("alice")
    memory._seen.update(seen)
    yield (
        "debit with a key, another container debited meanwhile",
        _counted(on, lambda: on.debit("alice", "hot")),
    )


def _holding(on: Stage) -> Iterator[tuple[str, Traffic]]:
    held = on.hold("alice")
    yield "place a hold", _counted(on, lambda: on.hold("alice"))
    yield "capture a hold", _counted(on, lambda: on.capture(held))
    held = on.hold("alice")
    yield (
        "release a hold",
        _counted(on, lambda: on.call("POST", f"/quota/holds/{held}/release", "backend")),
    )


def _expiring(on: Stage) -> Iterator[tuple[str, Traffic]]:
    """Each on an account of its own, one of whose holds has expired and has not been swept."""
    customers = [_customer(on, name) for name in ("ann", "ben", "cleo", "dan", "eve", "fay")]
    ann, ben, cleo, dan, eve, fay = customers
    lasting = on.hold(eve)
    for customer in customers:
        on.hold(customer, seconds=1)
        on.debit(customer)
    seen = dict(memory._seen)
    time.sleep(2.1)  # their second has to pass
    yield (
        "read the quota, a hold expired meanwhile",
        _counted(on, lambda: on.call("GET", "/quota", ann)),
    )
    yield "debit, a hold expired meanwhile", _counted(on, lambda: on.debit(ben))
    yield (
        "debit with a key, a hold expired meanwhile",
        _counted(on, lambda: on.debit(cleo, "expired")),
    )
    yield "place a hold, another expired meanwhile", _counted(on, lambda: on.hold(dan))
    yield "capture a hold, another expired meanwhile", _counted(on, lambda: on.capture(lasting))
    _another_container()
    yield (
        "debit, a hold expired meanwhile, in a container that has not seen the account",
        _counted(on, lambda: on.debit(fay)),
    )
    memory._seen.update(seen)


def _reading(on: Stage) -> Iterator[tuple[str, Traffic]]:
    yield "read the quota", _counted(on, lambda: on.call("GET", "/quota", "alice"))
    yield "list the ledger", _counted(on, lambda: on.call("GET", "/quota/ledger", "alice"))
    page = on.call("GET", "/quota/ledger", "alice", query={"limit": "1"})
    yield (
        "list the ledger, a later page",
        _counted(
            on,
            lambda: on.call("GET", "/quota/ledger", "alice", query={"cursor": page["next_cursor"]}),
        ),
    )


def _keys(on: Stage) -> Iterator[tuple[str, Traffic]]:
    key = on.call("POST", "/keys", "alice", {"name": "a key"})
    yield "make a key", _counted(on, lambda: on.call("POST", "/keys", "alice", {"name": "another"}))
    yield "list keys", _counted(on, lambda: on.call("GET", "/keys", "alice"))
    yield "authorize a call by its key", _counted(on, lambda: on.authorize(key["key"]))
    yield "revoke a key", _counted(on, lambda: on.call("DELETE", f"/keys/{key['key_id']}", "alice"))


def _keyed_debits(on: Stage) -> Iterator[tuple[str, Traffic]]:
    """By API keys of an account that has 32, all of them with limits but one."""
    user = _customer(on, "gus")
    limit = {"units": 1_000_000, "per": "month"}
    free = on.call("POST", "/keys", user, {"name": "free"})
    limited = [
        on.call("POST", "/keys", user, {"name": "limited", "limit": limit}) for _ in range(31)
    ]
    for name, key in {
        "debit by an API key": free,
        "debit by an API key with a limit": limited[0],
    }.items():
        body = {"user_id": user, "units": 1, "key_id": key["key_id"]}

        def debit(body: dict[str, Any] = body) -> object:
            return on.call("POST", "/quota/debits", "backend", body)

        debit()
        yield name, _counted(on, debit)
    _another_container()
    yield (
        "debit by an API key with a limit, in a container that has not seen the account",
        _counted(on, debit),
    )
    path = f"/keys/{limited[0]['key_id']}"
    yield (
        "change a key's limit",
        _counted(on, lambda: on.call("PATCH", path, user, {"limit": None})),
    )
    held = limited[1]["key"]
    yield "show a key to its holder", _counted(on, lambda: on.call("GET", "/key", x_api_key=held))
    yield "authorize a call by a key with a limit", _counted(on, lambda: on.authorize(held))


def _public(on: Stage) -> Iterator[tuple[str, Traffic]]:
    yield "list plans", _counted(on, lambda: on.call("GET", "/plans"))
    yield "the page", _counted(on, lambda: on.call("GET", "/"))
    yield "a file of the page", _counted(on, lambda: on.call("GET", "/site/app.js"))
    yield "the API's description", _counted(on, lambda: on.call("GET", "/openapi.json"))
