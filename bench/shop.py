"""Calls the product's handlers concurrently over one database.

Each thread is a container with its own deadline and its own memory.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import debit_quota
import hold_quota
import httpx
from billing.api import endpoint
from billing.books import Books
from billing.clock import utc_now
from billing.deadline import BUDGET_SECONDS
from billing.errors import RetryableError
from billing.quota.balance import Balance
from billing.settlement import settlement
from billing.spending import memory
from billing.wiring import container
from functional.lab import API, Context
from support import builders
from support.deadlines import ThreadDeadline
from support.dynamo import Dynamo

from bench import subjects
from bench.quiet import quiet

USER: Final = "hot"
ASKED_AT_MOST: Final = 4
SERVER_ERROR: Final = 500
REFUSED: Final = 402
LOCK: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Shop:
    """The product over one database, with the answers to its callers."""

    books: Books
    said: Counter[str]

    def debit(self, kind: str, name: str) -> None:
        """Debit, and retry after a 5xx: without a key only where nothing was done."""
        headers = {"idempotency-key": name} if kind == "keyed" else {}
        body = json.dumps({"user_id": USER, "units": 1})
        event = subjects.call("POST", "/quota/debits", sub="backend", body=body, headers=headers)
        for _ in range(ASKED_AT_MOST):
            answer = debit_quota.handler(event, Context())
            status = answer["statusCode"]
            again = status >= SERVER_ERROR and (
                kind == "keyed" or json.loads(answer["body"])["code"] == "busy"
            )
            self.tell(
                f"{status // 100}xx"
                if status not in (200, REFUSED)
                else "spent"
                if status == 200
                else "refused"
            )
            if not again:
                break
        if status >= SERVER_ERROR:
            self.tell("stays")

    def settle(self, payment: Any) -> None:
        """Settle a concurrent purchase, and repeat like Stripe while the outcome is unknown."""
        fact = builders.fact(builders.completed(payment))
        for _ in range(ASKED_AT_MOST):
            self.books.store.deadline.begin()
            try:
                status = settlement.apply(self.books, fact).status
            except RetryableError:
                self.tell("brought again")
                continue
            assert status in ("settled", "duplicate")
            self.tell("purchases")
            return
        self.tell("stays")

    def tell(self, word: str) -> None:
        """Count it."""
        with LOCK:
            self.said[word] += 1


class _PerContainer(MutableMapping[str, Balance]):
    """What a container has seen: each thread for itself."""

    def __init__(self) -> None:
        self._own = threading.local()

    def _seen(self) -> dict[str, Balance]:
        found: dict[str, Balance] = self._own.__dict__.setdefault("seen", {})
        return found

    def __getitem__(self, name: str) -> Balance:
        return self._seen()[name]

    def __setitem__(self, name: str, balance: Balance) -> None:
        self._seen()[name] = balance

    def __delitem__(self, name: str) -> None:
        del self._seen()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._seen())

    def __len__(self) -> int:
        return len(self._seen())


@contextmanager
def serving(books: Books) -> Iterator[None]:
    """Let the handlers of spending work on these books. They bind names when they are loaded."""
    with ExitStack() as replaced:
        for module in (container, debit_quota, hold_quota):
            replaced.enter_context(patch.object(module, "books", lambda: books))
        for module in (container, endpoint):
            replaced.enter_context(patch.object(module, "deadline", lambda: books.store.deadline))
        yield


@contextmanager
def opened(dynamo: Dynamo) -> Iterator[Shop]:
    """The handlers on fresh tables, with the product's own deadline in each thread."""
    store = dynamo.store()
    store.deadline = ThreadDeadline(BUDGET_SECONDS)
    books = builders.books_on(store, clock=utc_now)  # type: ignore[arg-type]
    before, memory._seen = memory._seen, _PerContainer()  # type: ignore[assignment]
    try:
        with serving(books), quiet(subjects.ENVIRONMENT, "CRITICAL"):
            yield Shop(books, Counter())
    finally:
        memory._seen = before


class Direct(httpx.BaseTransport):
    """The handlers behind httpx, concurrently for each caller."""

    def __init__(self, shop: Shop) -> None:
        """``shop`` counts the calls."""
        self._shop = shop

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As API Gateway would."""
        path, body = request.url.path.removeprefix(API), request.read().decode()
        answer = hold_quota.handler(
            subjects.call(request.method, path, sub="backend", body=body), Context()
        )
        self._shop.tell("calls")
        return httpx.Response(
            answer["statusCode"], content=answer["body"].encode(), headers=answer["headers"]
        )
