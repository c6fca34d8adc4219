"""Faults on the wire: requests that never leave, answers that never come, throttles, and the database killed in the middle.

A few seconds in ``make test``; ``make chaos`` sets TOPUP_CHAOS_SECONDS and goes on for ten minutes.
"""

import io
import json
import os
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import builders
import dynamo
import laws
import model
import pytest
from billing import parking, settlement
from billing.balances import Balance
from billing.books import Books
from billing.errors import OutcomeUnknownError
from billing.identity import user_key
from billing.payments import Payment
from billing.store import StoreFaultError
from botocore.awsrequest import AWSResponse
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from builders import fact, pending
from dynamo import Dynamo, Dynoxide

from infra.local.places import ROOT

SECONDS: Final = float(os.environ.get("TOPUP_CHAOS_SECONDS", "6"))
THREADS: Final = 16
PURCHASES: Final = 12
FIGURES: Final = ROOT / ".local" / "figures" / "wire.json"
FAULTS: Final = ("never sent", "answer lost", "throttled")
THROTTLE: Final = b'{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"injected"}'
figures: Counter[str] = Counter()


class _Body(io.BytesIO):
    def stream(self, **_: object) -> Any:
        """As urllib3's."""
        yield self.getvalue()


class RoughWire:
    """Stands in botocore's place for the HTTP session: every sixth request or so meets a fault."""

    def __init__(self, session: Any, seed: int) -> None:
        """Around the real session."""
        self._session, self._random, self.is_rough = session, random.Random(seed), True

    def send(self, request: Any) -> Any:
        """Carry it, or not, or lose what came back."""
        figures["requests"] += 1
        fault = self._random.choice(FAULTS) if self.is_rough and self._random.random() < 1 / 6 else ""
        figures[fault or "carried"] += 1
        if fault == "never sent":
            raise EndpointConnectionError(endpoint_url=request.url)
        if fault == "throttled":
            return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, _Body(THROTTLE))
        answer = self._session.send(request)
        if fault == "answer lost":
            raise ReadTimeoutError(endpoint_url=request.url)
        return answer


def rough(books: Books, seed: int) -> RoughWire:
    """Put the wire under the product's store."""
    endpoint = books.store._connection.client._endpoint
    endpoint.http_session = RoughWire(endpoint.http_session, seed)
    wire: RoughWire = endpoint.http_session
    return wire


def _round(database: Dynamo, seed: int, disturb: Any = None) -> None:
    chance = random.Random(seed)
    books = builders.books_on(database.store())
    payments = [pending(books, user_id=f"user{number % 3}") for number in range(PURCHASES)]
    events = {payment.payment_id: _story(payment, chance) for payment in payments}
    told = [(payment.payment_id, event) for payment in payments for event in events[payment.payment_id]] * 2
    told += [(name, {**event, "id": f"{event['id']}again"}) for name, event in told[::5]]
    chance.shuffle(told)
    wire = rough(books, seed)
    acknowledged: set[str] = set()

    def deliver(name: str, event: dict[str, Any]) -> None:
        books.store.patience.begin()
        figures["deliveries"] += 1
        try:
            outcome = settlement.apply(books, fact(event))
        except (OutcomeUnknownError, StoreFaultError):
            figures["answered 5xx"] += 1
            return
        if outcome.status in ("settled", "duplicate") and event["type"] == "checkout.session.completed":
            acknowledged.add(name)

    with ThreadPoolExecutor(THREADS) as pool:
        work = [pool.submit(deliver, name, event) for name, event in told]
        if disturb:
            disturb()
        for done in work:
            done.result()
    wire.is_rough = False
    _nothing_acknowledged_is_lost(books, payments, acknowledged)
    _ends_as_the_model_says(books, payments, events)


def _story(payment: Payment, chance: random.Random) -> list[dict[str, Any]]:
    out = [builders.completed(payment)]
    if chance.random() < 0.5:
        out.append(builders.refunded(payment, chance.choice([333, 999])))
    if chance.random() < 0.3:
        out.append(builders.dispute(payment, "funds_withdrawn", "needs_response", -600, dispute_id=f"du_{payment.payment_id}"))
    return out


def _stored(books: Books, payment: Payment) -> Payment:
    books.store.patience.begin()
    item = books.store.get("payments", (user_key(payment.user_id), payment.payment_id))
    assert item is not None
    return Payment.from_item(item)


def _nothing_acknowledged_is_lost(books: Books, payments: list[Payment], acknowledged: set[str]) -> None:
    for payment in payments:
        if payment.payment_id in acknowledged:
            assert _stored(books, payment).paid_minor == 999, f"{payment.payment_id} was acknowledged and is gone"


def _ends_as_the_model_says(books: Books, payments: list[Payment], events: dict[str, list[dict[str, Any]]]) -> None:
    """Faults stop, and everything is delivered once more."""
    for payment in payments:
        for event in events[payment.payment_id]:
            books.store.patience.begin()
            settlement.apply(books, fact(event))
    for record in list(parking.all_parked(books)):
        books.store.patience.begin()
        settlement.retry(books, record)
    laws.check(dynamo.contents(books.store))
    expected: Counter[str] = Counter()
    for payment in payments:
        status, credited, taken = model.purchase(events[payment.payment_id], payment.quota, payment.amount_minor)
        stored = _stored(books, payment)
        assert (stored.status, stored.units_clawed_back) == (status, taken)
        expected[payment.user_id] += credited - taken
    for user_id, units in expected.items():
        assert Balance.from_item(books.store.get("quotas", (user_id, "quota"))).remaining == units


@pytest.fixture(scope="module", autouse=True)
def _written() -> Any:
    yield
    FIGURES.parent.mkdir(parents=True, exist_ok=True)
    FIGURES.write_text(json.dumps({"seconds asked for": int(SECONDS), **figures}, indent=2))


@pytest.mark.parametrize("name", ["ministack", "dynoxide"])
def test_sixteen_threads_on_a_rough_wire_end_as_the_model_says(name: str) -> None:
    """Duplicates under the same event id and under another; the seed of a failing round is in its message."""
    with getattr(dynamo, name)() as database:
        ends = time.monotonic() + SECONDS / 3
        seed = int(os.environ.get("TOPUP_CHAOS_SEED", "1"))
        while True:
            try:
                _round(database, seed)
            except AssertionError as error:
                raise AssertionError(f"TOPUP_CHAOS_SEED={seed}: {error}") from error
            figures[f"rounds on {name}"] += 1
            seed += 1
            if time.monotonic() > ends:
                return


def test_what_was_acknowledged_survives_the_database_being_killed() -> None:
    """``kill -9`` in the middle of sixteen threads' work, and a start on the same file."""
    ends = time.monotonic() + SECONDS / 3
    with dynamo.dynoxide() as database:
        seed = 1
        while True:
            _round(database, seed, lambda: _kill(database))
            seed += 1
            if time.monotonic() > ends:
                return


def _kill(database: Dynoxide) -> None:
    for _ in range(2):
        threading.Event().wait(0.15)  # let some work be under way
        database.kill()
        figures["kills"] += 1
        database.start()
