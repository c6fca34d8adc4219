"""Runs handlers in every order of their outside calls, with a fault at every one of them.

Deterministic: no threads, no time.

The handlers are the product's own code on the product's own retry loop
(billing.storage.dynamodb.Store); below that, DynamoDB is the twin in memory, called one request at
a time, and each request is a point where another handler may go first.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from billing.books import Books
from billing.errors import ConditionFailedError, Item, RetryableError
from billing.spending import memory
from billing.storage.connection import IF_NOT_DONE, IF_UNKNOWN, NEVER, UNTIL_DEADLINE, Retry
from billing.storage.dynamodb import Store
from billing.storage.reader import Page
from billing.storage.writes import Table, Write
from botocore.exceptions import ClientError, ReadTimeoutError
from greenlet import greenlet
from support import builders
from support.deadlines import PausedDeadline
from support.fakes.dynamodb_client import DynamoDBClient
from support.fakes.memory_store import MemoryStore, copy_of

_T = TypeVar("_T")
FAULTS: Final = ("crash_before", "crash_after", "throttle", "conflict", "lost")
Handlers = tuple[Sequence[Callable[[], object]], Callable[[list[str]], None]]
"""What goes on at the same time, and a check that gets the end of each."""
tokens: Final = [itertools.count(1)]
"""In place of random parts of ids, so that a schedule can be run again."""


class Crash(BaseException):
    """The function's process is gone."""


@dataclass(slots=True)
class Plan:
    """What is chosen at each point (``choices``, then the first there is): which handler goes next,
    and whether its call meets a fault.

    One fault strikes in an order, or none.
    """

    choices: Sequence[int] = ()
    faults: Sequence[str] = ()
    branches: list[tuple[int, int]] = field(default_factory=list)
    """At each point: which was chosen, of how many."""
    struck: str = ""
    seen: set[tuple[Any, ...]] = field(default_factory=set)
    """States that an earlier order has led to: what follows from them has been run."""
    is_cut: bool = False

    @property
    def is_replayed(self) -> bool:
        """An earlier order has been here."""
        return len(self.branches) < len(self.choices)

    def choose(self, count: int) -> int:
        """One of so many."""
        chosen = self.choices[len(self.branches)] if self.is_replayed else 0
        self.branches.append((chosen, count))
        return chosen

    def fault(self) -> str:
        """What the call meets that is made now."""
        if self.faults and not self.struck and (chosen := self.choose(len(self.faults) + 1)):
            self.struck = self.faults[chosen - 1]
            return self.struck
        return ""


class Twin(MemoryStore):
    """Keeps a sum over its items as they change: equal sums are equal tables."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.sum = 0
        self.parts: dict[tuple[str, tuple[str, str]], int] = {}

    def _carry_out(self, write: Write) -> None:
        super()._carry_out(write)
        if write.is_check:
            return
        place, item = (write.table, write.key), self.tables[write.table].get(write.key)
        part = 0 if item is None else hash(repr((place, sorted(item.items()))))
        self.sum += part - self.parts.get(place, 0)
        self.parts[place] = part

    def twin(self) -> "Twin":
        """Another one with the same in it."""
        made = Twin()
        made.tables, made.sum, made.parts = copy_of(self.tables), self.sum, dict(self.parts)
        return made


@dataclass(slots=True)
class _Before:
    """What an exploration begins with."""

    told: Any
    memory: Twin
    sum: int
    seen: dict[Any, Any]


class _Client(DynamoDBClient):
    """Stands where botocore's client stands: a request is carried out whole, or a fault strikes."""

    def __init__(self, store: "ScheduledStore") -> None:
        self._store = store

    def ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        fault = self._store.meet_fault()
        try:
            return self._carry_out(operation, request["carried"], fault)
        except ConditionFailedError as refused:
            self._store.remember(refused.old)
            raise

    def _carry_out(self, operation: str, request: dict[str, Any], fault: str) -> dict[str, Any]:
        self._store.remember(fault)
        if fault == "crash_before":
            raise Crash
        if fault == "throttle":
            raise ClientError(_error("ProvisionedThroughputExceededException"), operation)
        if fault == "conflict":
            if operation != "TransactWriteItems":
                raise ClientError(_error("TransactionConflictException"), operation)
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            raise ClientError(
                {**_error("TransactionCanceledException"), "CancellationReasons": reasons},
                operation,
            )
        if (
            operation != "TransactWriteItems" or "answer" not in request
        ):  # a transaction has a token, and twice is carried out once
            request["answer"] = request["act"]()
        self._store.remember(request["answer"])
        if fault == "crash_after":
            raise Crash
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="dynamodb")
        return request


def _error(code: str) -> dict[str, Any]:
    return {
        "Error": {"Code": code, "Message": "injected"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }


class ScheduledStore(Store):
    """The product's store with its own retry loop, on the twin; control returns to the schedule
    before every request.
    """

    def __init__(self, kept: list[_Before] | None = None) -> None:
        """On an empty twin, outside any schedule.

        ``kept`` is for ``before``, and the same for all stores of an exploration.
        """
        self.memory = Twin()
        self._kept = [] if kept is None else kept
        self.deadline = PausedDeadline()
        self.plan: Plan | None = None
        self._workers: list[greenlet] = []
        self._told: dict[greenlet, int] = {}
        self._asked: dict[greenlet, int] = {}
        self._client = _Client(self)

    def before(self, act: Callable[[], _T]) -> _T:
        """What goes before is the same in every order: the first carries it out, the others find
        it. Returns the answer to the first.
        """
        if not self._kept:
            told = act()
            self._kept.append(
                _Before(told, self.memory.twin(), self.memory.sum, dict(memory._seen))
            )
        kept = self._kept[0]
        self.memory = kept.memory.twin()
        assert self.memory.sum == kept.sum, (
            "an earlier order has changed what this one is to begin with"
        )
        memory._seen.update(kept.seen)
        _number_from(101)
        found: _T = kept.told
        return found

    def remember(self, told: object) -> None:
        """The answers to a handler decide, with the tables, what it does next."""
        me = greenlet.getcurrent()
        self._told[me] = hash((self._told.get(me), repr(told)))

    def state(self) -> tuple[Any, ...]:
        """Equal for two orders after which everything goes on alike."""
        return (
            self.memory.sum,
            repr(memory._seen),
            *(
                (worker.dead, self._asked.get(worker), self._told.get(worker))
                for worker in self._workers
            ),
        )

    def meet_fault(self) -> str:
        """Let others go first; then say what fault strikes this request, if any."""
        plan, me = self.plan, greenlet.getcurrent()
        if plan is None or me.parent is None:
            return ""
        self._asked[me] = self._asked.get(me, 0) + 1
        me.parent.switch()
        return plan.fault()

    def _do(self, operation: str, act: Callable[[], Any], retry: Retry = UNTIL_DEADLINE) -> Any:
        return self._ask(operation, {"carried": {"act": act}}, retry)["answer"]

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """See Store."""
        found: Item | None = self._do("GetItem", lambda: self.memory.get(table, key))
        return found

    def commit(self, *writes: Write) -> None:
        """See Store."""
        self._do("TransactWriteItems", lambda: self.memory.commit(*writes))

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """See Store."""
        self._do(
            "TransactWriteItems",
            lambda: self.memory.commit(*writes),
            IF_UNKNOWN if clears_up else NEVER,
        )

    def update(self, write: Write) -> Item:
        """See Store."""
        found: Item = self._do("UpdateItem", lambda: self.memory.update(write), IF_NOT_DONE)
        return found

    def query(self, table: Table, owner: str, **how: Any) -> Page:
        """See Store."""
        found: Page = self._do("Query", lambda: self.memory.query(table, owner, **how))
        return found

    def scan(
        self, table: Table, segment: int = 0, segments: int = 1, after: Item | None = None
    ) -> Page:
        """See Store."""
        found: Page = self._do("Scan", lambda: self.memory.scan(table, segment, segments, after))
        return found

    def run(self, handlers: Sequence[Callable[[], object]], plan: Plan) -> list[str]:
        """Run them by the plan. Returns how each ended: ``done``, ``crashed`` or ``unknown``."""
        self.plan, self._told, self._asked = plan, {}, {}
        ends = [""] * len(handlers)
        self._workers = [
            greenlet(self._worker(handler, ends, number)) for number, handler in enumerate(handlers)
        ]
        while alive := [worker for worker in self._workers if not worker.dead]:
            if not plan.is_replayed and self._has_been_here(plan, alive):
                plan.is_cut = True
                for worker in alive:
                    worker.throw()
                break
            alive[plan.choose(len(alive))].switch()
        self.plan = None
        return ends

    def _has_been_here(self, plan: Plan, alive: list[greenlet]) -> bool:
        if plan.struck and len(alive) == 1:
            return False  # nothing is left to choose
        state = (bool(plan.struck), len(alive), *self.state())
        if state in plan.seen:
            return True
        plan.seen.add(state)
        return False

    @staticmethod
    def _worker(handler: Callable[[], object], ends: list[str], number: int) -> Callable[[], None]:
        def work() -> None:
            try:
                handler()
                ends[number] = "done"
            except Crash:
                ends[number] = "crashed"
            except RetryableError:
                ends[number] = "unknown"

        return work


def fresh_books(store: ScheduledStore, policy: str = "debt") -> Books:
    """Numbered from one each time: two orders that differ in nothing else come
    to the same state.
    """
    memory._seen.clear()
    _number_from(1)
    return builders.books_on(store, policy, builders.Still())


def _number_from(first: int) -> None:
    builders.renumber(first)
    tokens[0] = itertools.count(first)


def plans(faults: Sequence[str]) -> Iterator[Plan]:
    """Every order there is, one after the other.

    Send nothing; run each plan before asking for the next.
    """
    choices: list[int] = []
    seen: set[tuple[Any, ...]] = set()
    while True:
        plan = Plan(tuple(choices), faults, seen=seen)
        yield plan
        taken = list(plan.branches)
        while taken and taken[-1][0] == taken[-1][1] - 1:
            taken.pop()
        if not taken:
            return
        choices = [chosen for chosen, _ in taken[:-1]] + [taken[-1][0] + 1]


def explore(
    build: Callable[[ScheduledStore], Handlers],
    faults: Sequence[str] = FAULTS,
    store_of: Callable[[list[_Before]], ScheduledStore] = ScheduledStore,
) -> dict[str, int]:
    """All orders, without a fault and with each fault at each call.

    Returns how many of each were run.

    ``build`` prepares a store and returns the handlers, and a check that gets the end of each.
    """
    kept: list[_Before] = []
    figures = {
        "schedules": 0,
        "no fault": 0,
        **dict.fromkeys(faults, 0),
        "joined an earlier one": 0,
    }
    for plan in plans(faults):
        store = store_of(kept)
        handlers, check = build(store)
        ends = store.run(handlers, plan)
        if plan.is_cut:
            figures["joined an earlier one"] += 1
            continue
        figures["schedules"] += 1
        figures[plan.struck or "no fault"] += 1
        check(ends)
    unseen = [kind for kind in ("no fault", *faults) if not figures[kind]]
    assert not unseen, f"no order was run to its end with {unseen}: nothing is shown"
    return figures
