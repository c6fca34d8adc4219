"""Handlers of schedules where time passes only while a handler waits: a store and a Stripe as slow
as a test wants, and a deadline.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import recover
from billing.deadline import Deadline
from billing.errors import BillingError, Item, OutcomeUnknownError
from billing.facts import to_item
from billing.parked import records
from billing.settlement import settlement
from billing.spending import debits
from billing.storage.reader import Page
from billing.storage.writes import Table, Write
from billing.stripe_api import connection
from billing.telemetry import metrics
from repo.declared import functions
from support import builders, laws
from support.builders import Clock, fact, pending
from support.fakes.memory_store import MemoryStore
from support.fakes.stripe_twin import Stripe

TIMEOUT_SECONDS = int(functions()["RecoverFunction"]["Timeout"])
STRIPE_SECONDS_MAX = connection.CONNECT_SECONDS + connection.READ_SECONDS
STRIPES_SOURCE = "aws.partner/stripe.com/ed_test_made_up"


class Slow(MemoryStore):
    """A store whose every call takes ``seconds``, begins only while there is deadline, and may fail
    for one fact or user.
    """

    def __init__(self) -> None:
        """Quick, at first."""
        super().__init__(Deadline(clock=lambda: self.now, sleep=lambda _: None))
        self.seconds = 0.0
        self.fault_of: dict[str, BaseException] = {}

    now = 0.0
    """What a watch would show, in seconds."""

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """After its time."""
        self._pass(key)
        return super().get(table, key)

    def commit(self, *writes: Write) -> None:
        """After its time."""
        self._pass(*(part for write in writes for part in write.key))
        super().commit(*writes)

    def query(self, table: Table, owner: str, **how: Any) -> Page:
        """After its time."""
        self._pass(owner)
        return super().query(table, owner, **how)

    def due(self, now_epoch: int, after: Item | None = None, mark: str = "open") -> Page:
        """After its time."""
        self._pass("due")
        return super().due(now_epoch, after, mark)

    def unseen(self, since: str, after: Item | None = None) -> Page:
        """After its time."""
        self._pass("unseen")
        return super().unseen(since, after)

    def _pass(self, *asked: object) -> None:
        if next(self.deadline.attempts(), None) is None:
            raise OutcomeUnknownError("no time is left")
        self.now += self.seconds
        for name, fault in self.fault_of.items():
            if name in str(asked):
                raise fault.with_traceback(None)  # of this time alone


class SlowStripe(Stripe):
    """Stripe, giving no answer for some payment intents for as long as the
    caller's deadline lasts.
    """

    def __init__(self, store: Slow) -> None:
        """Shares the store's deadline, as the gateway does."""
        super().__init__()
        self.store = store
        self.hangs_for: set[str] = set()
        self.kills_for = ""
        self.asked: list[str] = []

    def payment_intent(self, payment_intent: str) -> dict[str, Any]:
        """It, or no answer, or the caller's death."""
        self.asked.append(payment_intent)
        if payment_intent == self.kills_for:
            raise SystemExit
        if payment_intent not in self.hangs_for:
            return super().payment_intent(payment_intent)
        for _ in self.store.deadline.attempts():
            self.store.now += STRIPE_SECONDS_MAX
        raise BillingError("stripe_unavailable", "no answer")


class Context:
    """Lambda's second argument: what is left of the function's timeout."""

    def __init__(self, store: Slow, seconds: int = TIMEOUT_SECONDS) -> None:
        """It begins now."""
        self._store = store
        self._ends = store.now + seconds

    def get_remaining_time_in_millis(self) -> int:
        """As Lambda tells it, as long as it lets the function live."""
        left = int((self._ends - self._store.now) * 1000)
        assert left > 0, "the function was killed"
        return left


@dataclass
class Recovery:
    """The handler on that store and that Stripe. ``counted``: every figure that left, by name."""

    patch: pytest.MonkeyPatch
    store: Slow = field(default_factory=Slow)
    clock: Clock = field(default_factory=Clock)
    counted: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Instead of those that the environment names."""
        self.stripe = SlowStripe(self.store)
        self.books = builders.books_on(self.store, clock=self.clock)
        for name, found in (
            ("books", self.books),
            ("deadline", self.store.deadline),
            ("gateway", self.stripe),
        ):
            self.patch.setattr(recover, name, lambda found=found: found)
        self.patch.setattr(
            metrics,
            "add_metric",
            lambda name, value, **_: self.counted.setdefault(name, []).append(value),
        )

    def run(self) -> dict[str, Any]:
        """As the schedule calls it."""
        return self._invoke({})

    def answer(self, *bodies: str) -> list[str]:
        """As SQS delivers messages. Returns the numbers of those that come again."""
        records = [{"messageId": str(number), "body": body} for number, body in enumerate(bodies)]
        return [
            row["itemIdentifier"] for row in self._invoke({"Records": records})["batchItemFailures"]
        ]

    def _invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        context = Context(self.store)
        done = recover.handler(event, context)
        context.get_remaining_time_in_millis()
        return done

    def settle(self, event: dict[str, Any]) -> str:
        """As the webhook does."""
        self.store.deadline.begin()
        return settlement.apply(self.books, fact(event)).status

    def park_refunds(self, count: int) -> None:
        """Of half of paid purchases whose own events never came: each a second older than the next,
        and all due.
        """
        for _ in range(count):
            payment = pending(self.books)
            self.stripe.sell(payment, 1767323045)
            assert self.settle(builders.refunded(payment, 500)) == "parked"
            self.clock.advance(seconds=1)
        self.clock.advance(seconds=60)

    def parked(self) -> list[records.Parked]:
        """Those due for longest first."""
        self.store.deadline.begin()
        return sorted(records.all_parked(self.books), key=lambda record: record.next_try)

    def units(self, user_id: str = "alice") -> int:
        """What remains; the laws are held on the way."""
        self.store.deadline.begin()
        laws.check(self.store)
        return debits.read(self.books, user_id).remaining


def kept(event: dict[str, Any]) -> str:
    """A message as the webhook keeps a fact."""
    return json.dumps(to_item(fact(event)))


def bridged(event: Any, **members: Any) -> str:
    """A message as EventBridge brings an event:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html.
    """
    envelope = {
        "version": "0",
        "id": "17e8dff5-d6cd-3770-ace9-aeac02b6ac3f",
        "detail-type": event.get("type") if isinstance(event, dict) else "",
        "source": STRIPES_SOURCE,
        "account": "111122223333",
        "time": "2026-01-02T03:04:05Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": event,
    }
    return json.dumps(envelope | members)
