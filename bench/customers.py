"""Counts what giving units, a customer's own settings and automatic top-ups cost."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

from billing.payments import plans

from bench.stage import Stage
from bench.wire import Traffic

WELCOME: Final = {"units": 3, "needs_verified_email": False, "daily_max": 100}
TERMS: Final = {"plan": "starter", "when_below": 5, "max_per_month": 3, "agreed": True}


def operations(on: Stage) -> Iterator[tuple[str, Traffic]]:
    """Yield each operation with its traffic."""
    yield from _giving(on)
    yield from _settings(on)
    yield from _topping_up(on)


def _counted(on: Stage, act: Callable[[], Any]) -> Traffic:
    with on.tap.counting() as traffic:
        act()
    return traffic


def _giving(on: Stage) -> Iterator[tuple[str, Traffic]]:
    def give(key: str) -> str:
        body = {"user_id": "hal", "units": 10, "reason": "a trial"}
        made = on.call("POST", "/quota/grants", "backend", body, None, idempotency_key=key)
        return str(made["grant_id"])

    given = give("first")
    yield "give units", _counted(on, lambda: give("second"))
    yield "give units, repeated", _counted(on, lambda: give("second"))
    void = f"/quota/grants/{given}/void"
    yield "take a grant back", _counted(on, lambda: on.call("POST", void, "backend"))
    with _welcoming():
        on.call("POST", "/quota/welcome", "ida")
        yield "a welcome", _counted(on, lambda: on.call("POST", "/quota/welcome", "jon"))
        yield "a welcome, repeated", _counted(on, lambda: on.call("POST", "/quota/welcome", "jon"))
    yield "list lots", _counted(on, lambda: on.call("GET", "/quota/lots", "hal"))


@contextmanager
def _welcoming() -> Iterator[None]:
    """A catalogue with a welcome, for as long as this lasts."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        rows = json.loads(plans.CATALOGUE.read_text(encoding="utf-8"))
        json.dump({"plans": rows, "welcome": WELCOME}, file)
        file.flush()
        with mock.patch.object(plans, "CATALOGUE", Path(file.name)):
            plans.whole_catalogue.cache_clear()
            yield
        plans.whole_catalogue.cache_clear()


def _settings(on: Stage) -> Iterator[tuple[str, Traffic]]:
    body = {"low_at": 20}
    yield "set an alert", _counted(on, lambda: on.call("PUT", "/quota/alert", "hal", body))
    yield "read the alert", _counted(on, lambda: on.call("GET", "/quota/alert", "hal"))


def _topping_up(on: Stage) -> Iterator[tuple[str, Traffic]]:
    """For a customer who has saved a card and has enough units."""
    path = "/quota/auto-top-up"
    with on.watching(low_at=1):
        body = {"plan": "enterprise", "remember_card": True}
        session = on.call("POST", "/payments/checkout", "kim", body)["session_id"]
        on.stripe.control(f"sessions/{session}/pay", method="card")
        on.deliver(on.event("checkout.session.completed"))
        yield "agree to top-ups", _counted(on, lambda: on.call("PUT", path, "kim", TERMS))
        yield "read the agreement", _counted(on, lambda: on.call("GET", path, "kim"))
        yield "end top-ups", _counted(on, lambda: on.call("DELETE", path, "kim"))
