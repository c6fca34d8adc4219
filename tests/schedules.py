"""Runs handlers in every order of their outside calls, with a fault at every one of them. Deterministic: no threads, no time.

The handlers are the product's own code on the product's own retry loop (billing.store.Store); below that, DynamoDB is the
twin in memory, called one request at a time, and each request is a point where another handler may go first.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import builders
from billing import spending
from billing.books import Books
from billing.errors import Item, OutcomeUnknownError, RefusedError
from billing.patience import Patience
from billing.store import Page, Store
from billing.writes import Table, Write
from botocore.exceptions import ClientError, ReadTimeoutError
from greenlet import greenlet
from memory_store import MemoryStore

FAULTS: Final = ("crash_before", "crash_after", "throttle", "conflict", "lost")
Handlers = tuple[Sequence[Callable[[], object]], Callable[[list[str]], None]]
"""What goes on at the same time, and a check that is told how each of them ended."""
tokens: Final = [itertools.count(1)]
"""In place of random parts of ids, so that a schedule can be run again."""


class Still(builders.Clock):
    """Stands, so that two orders which differ in nothing else come to the same state."""

    def __call__(self) -> datetime:
        """Now."""
        return self.now


class Crash(BaseException):
    """The function's process is gone."""


@dataclass(slots=True)
class Plan:
    """Which handler goes next at each point (``choices``, then the first alive), and where the fault strikes."""

    choices: Sequence[int] = ()
    fault: str = ""
    victim: int = -1
    call: int = -1
    branches: list[tuple[int, int]] = field(default_factory=list)
    """At each point: which was chosen, of how many."""
    struck: bool = False
    calls: int = 0
    seen: set[tuple[Any, ...]] = field(default_factory=set)
    """States that an earlier order has led to: what follows from them has been run."""
    is_cut: bool = False


class _Client:
    """Stands where botocore's client stands: a request is carried out whole, or a fault strikes."""

    def __init__(self, store: "ScheduledStore") -> None:
        self._store = store

    def _make_api_call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        fault = self._store.meet_fault()
        try:
            return self._carry_out(operation, request, fault)
        except RefusedError as refused:
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
            raise ClientError({**_error("TransactionCanceledException"), "CancellationReasons": reasons}, operation)
        if operation != "TransactWriteItems" or "answer" not in request:  # a transaction has a token, and twice is carried out once
            request["answer"] = request["act"]()
        self._store.remember(request["answer"])
        if fault == "crash_after":
            raise Crash
        if fault == "lost":
            raise ReadTimeoutError(endpoint_url="dynamodb")
        return request


def _error(code: str) -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": 400}}


class ScheduledStore(Store):
    """The product's store with its own retry loop, on the twin; control returns to the schedule before every request."""

    def __init__(self) -> None:
        """On an empty twin, outside any schedule."""
        self.memory = MemoryStore()
        self.patience = Patience(sleep=lambda _: None)
        self.plan: Plan | None = None
        self._made: dict[greenlet, int] = {}
        self._numbers: dict[greenlet, int] = {}
        self._told: dict[greenlet, int] = {}
        self._asked: dict[greenlet, int] = {}
        self._client = _Client(self)

    def remember(self, told: object) -> None:
        """What a handler was told decides, with the tables, what it does next."""
        me = greenlet.getcurrent()
        self._told[me] = hash((self._told.get(me), repr(told)))

    def state(self) -> tuple[Any, ...]:
        """Equal for two orders after which everything goes on alike."""
        tables = tuple(
            sorted(hash(repr((name, key, sorted(item.items())))) for name, rows in self.memory.tables.items() for key, item in rows.items())
        )
        return (tables, repr(spending._seen), *((worker.dead, self._asked.get(worker), self._told.get(worker)) for worker in self._numbers))

    def meet_fault(self) -> str:
        """Let others go first; then say what fault strikes this request, if any."""
        plan, me = self.plan, greenlet.getcurrent()
        if plan is None or me.parent is None:
            return ""
        self._asked[me] = self._asked.get(me, 0) + 1
        me.parent.switch()
        made = self._made[me] = self._made.get(me, -1) + 1
        plan.calls += 1
        if plan.fault and (self._numbers[me], made) == (plan.victim, plan.call):
            plan.struck = True
            return plan.fault
        return ""

    def _do(self, operation: str, act: Callable[[], Any], *, repeatable: bool = True, **how: bool) -> Any:
        return self._ask(operation, {"act": act}, repeatable=repeatable, **how)["answer"]

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """See Store."""
        found: Item | None = self._do("GetItem", lambda: self.memory.get(table, key))
        return found

    def commit(self, *writes: Write) -> None:
        """See Store."""
        self._do("TransactWriteItems", lambda: self.memory.commit(*writes))

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """See Store."""
        self._do("TransactWriteItems", lambda: self.memory.commit(*writes), is_patient=False, clears_up=clears_up)

    def update(self, write: Write) -> Item:
        """See Store."""
        found: Item = self._do("UpdateItem", lambda: self.memory.update(write), repeatable=False)
        return found

    def query(self, table: Table, owner: str, **how: Any) -> Page:
        """See Store."""
        found: Page = self._do("Query", lambda: self.memory.query(table, owner, **how))
        return found

    def scan(self, table: Table, segment: int = 0, segments: int = 1, after: Item | None = None) -> Page:
        """See Store."""
        found: Page = self._do("Scan", lambda: self.memory.scan(table, segment, segments, after))
        return found

    def run(self, handlers: Sequence[Callable[[], object]], plan: Plan) -> list[str]:
        """Run them by the plan. Returns how each ended: ``done``, ``crashed`` or ``unknown``."""
        self.plan, self._made, self._told, self._asked = plan, {}, {}, {}
        ends = [""] * len(handlers)
        workers = [greenlet(self._worker(handler, ends, number)) for number, handler in enumerate(handlers)]
        self._numbers = {worker: number for number, worker in enumerate(workers)}
        while alive := [worker for worker in workers if not worker.dead]:
            step = len(plan.branches)
            if step >= len(plan.choices) and len(alive) > 1:
                state = (plan.struck, len(alive), *self.state())
                if state in plan.seen:
                    plan.is_cut = True
                    for worker in alive:
                        worker.throw()
                    break
                plan.seen.add(state)
            chosen = plan.choices[step] if step < len(plan.choices) else 0
            plan.branches.append((chosen, len(alive)))
            alive[chosen].switch()
        self.plan = None
        return ends

    @staticmethod
    def _worker(handler: Callable[[], object], ends: list[str], number: int) -> Callable[[], None]:
        def work() -> None:
            try:
                handler()
                ends[number] = "done"
            except Crash:
                ends[number] = "crashed"
            except OutcomeUnknownError:
                ends[number] = "unknown"

        return work


def fresh_books(store: ScheduledStore, policy: str = "debt") -> Books:
    """Numbered from one each time: two orders that differ in nothing else come to the same state."""
    builders.renumber()
    spending._seen.clear()
    tokens[0] = itertools.count(1)
    return builders.books_on(store, policy, Still())


def plans(fault: str = "", victim: int = -1, call: int = -1) -> Iterator[Plan]:
    """Every order there is, one after the other. Send nothing; run each plan before asking for the next."""
    choices: list[int] = []
    seen: set[tuple[Any, ...]] = set()
    while True:
        plan = Plan(tuple(choices), fault, victim, call, seen=seen)
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
) -> dict[str, int]:
    """All orders without a fault, then all orders with each fault at each call. Returns how many of each were run.

    ``build`` prepares a store and returns the handlers, and a check that is told how they ended.
    """
    figures = {"schedules": 0, "no fault": 0, **dict.fromkeys(faults, 0), "joined an earlier one": 0}

    def run_all(plans_of: Iterator[Plan], kind: str) -> bool:
        struck = False
        for plan in plans_of:
            store = ScheduledStore()
            handlers, check = build(store)
            ends = store.run(handlers, plan)
            struck = struck or plan.struck
            if plan.is_cut:
                figures["joined an earlier one"] += 1
                continue
            if kind == "no fault" or plan.struck:
                figures["schedules"] += 1
                figures[kind] += 1
            check(ends)
        return struck

    run_all(plans(), "no fault")
    count = len(build(ScheduledStore())[0])
    for fault in faults:
        for victim in range(count):
            call = 0
            while run_all(plans(fault, victim, call), fault):
                call += 1
    return figures
