"""One account with many concurrent debits, with conflicts as DynamoDB has them, in virtual time:
counts that hold on any machine.

While a transaction is under way, another one on the same item is cancelled with
``TransactionConflict``, and a plain write refused with ``TransactionConflictException``; plain
writes do not disturb each other. None of the local databases does that.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import heapq
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from billing.deadline import Deadline
from billing.errors import ConditionFailedError
from billing.quota.balance import Balance
from billing.storage.connection import IF_NOT_DONE, IF_UNKNOWN, NEVER, UNTIL_DEADLINE
from billing.storage.writes import Write
from botocore.exceptions import ClientError
from greenlet import greenlet
from support.fakes.dynamodb_client import DynamoDBClient
from support.schedules import ScheduledStore, Twin

CALL_SECONDS: Final = 0.010
"""Every call of DynamoDB, and how long a transaction keeps others off its items."""


class VirtualTime:
    """Passes when everybody waits."""

    def __init__(self) -> None:
        """At zero."""
        self.now = 0.0
        self._waiting: list[tuple[float, int, greenlet]] = []
        self._numbers = itertools.count()

    def clock(self) -> float:
        """Seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the others go on until then."""
        me = greenlet.getcurrent()
        if me.parent is None:
            return  # outside of ``run`` there is no concurrent request
        heapq.heappush(self._waiting, (self.now + seconds, next(self._numbers), me))
        me.parent.switch()

    def run(self, acts: Sequence[Callable[[], None]]) -> None:
        """All of them, to their end."""
        for act in acts:
            heapq.heappush(self._waiting, (self.now, next(self._numbers), greenlet(act)))
        while self._waiting:
            self.now, _, waiter = heapq.heappop(self._waiting)
            waiter.switch()


class _Client(DynamoDBClient):
    """Stands where botocore's client stands."""

    def __init__(self, store: "ContendedStore") -> None:
        self._store = store

    def ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        store, places = self._store, request.get("places", frozenset())
        store.calls[operation] += 1
        if store.under_way & places:
            store.calls["conflicts"] += 1
            store.time.sleep(CALL_SECONDS)
            if operation == "UpdateItem":
                raise _error("TransactionConflictException", operation)
            raise _error(
                "TransactionCanceledException",
                operation,
                CancellationReasons=[{"Code": "TransactionConflict"}],
            )
        locked = places if operation == "TransactWriteItems" else frozenset()
        store.under_way |= locked
        store.time.sleep(CALL_SECONDS)
        try:
            return {"answer": request["carried"]["act"]()}
        except ConditionFailedError:
            store.calls["refusals"] += 1
            raise
        finally:
            store.under_way -= locked


def _error(code: str, operation: str, **members: object) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": "injected"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        **members,
    }
    return ClientError(answer, operation)


class ContendedStore(ScheduledStore):
    """The product's store with its own retries and its own 8 seconds, on the twin in memory."""

    def __init__(self) -> None:
        """Empty."""
        self.memory = Twin()
        self.time = VirtualTime()
        self.deadline = _Own(self.time)
        self.under_way: frozenset[Any] = frozenset()
        self.calls: Counter[str] = Counter()
        self._client = _Client(self)

    def commit(self, *writes: Write) -> None:
        """See Store."""
        places = frozenset((write.table, write.key) for write in writes)
        self._ask(
            "TransactWriteItems",
            {"carried": {"act": lambda: self.memory.commit(*writes)}, "places": places},
            UNTIL_DEADLINE,
        )

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """See Store."""
        places = frozenset((write.table, write.key) for write in writes)
        request = {"carried": {"act": lambda: self.memory.commit(*writes)}, "places": places}
        self._ask("TransactWriteItems", request, IF_UNKNOWN if clears_up else NEVER)

    def update(self, write: Write) -> Any:
        """See Store."""
        request = {
            "carried": {"act": lambda: self.memory.update(write)},
            "places": frozenset({(write.table, write.key)}),
        }
        return self._ask("UpdateItem", request, IF_NOT_DONE)["answer"]


class _Own(Deadline):
    """A deadline for each of those who ask: in Lambda a process serves one request at a time."""

    def __init__(self, time: VirtualTime) -> None:
        self._deadlines: dict[greenlet, float] = {}
        super().__init__(clock=time.clock, sleep=time.sleep)

    @property
    def _deadline(self) -> float:
        return self._deadlines[greenlet.getcurrent()]

    @_deadline.setter
    def _deadline(self, moment: float) -> None:
        self._deadlines[greenlet.getcurrent()] = moment


class PerProcess(dict[str, Balance]):
    """What a container remembers between requests is its own."""

    def __init__(self) -> None:
        """Nothing is remembered."""
        super().__init__()
        self._own: dict[greenlet, dict[str, Balance]] = {}

    def _mine(self) -> dict[str, Balance]:
        return self._own.setdefault(greenlet.getcurrent(), {})

    def __len__(self) -> int:
        """Of this one."""
        return len(self._mine())

    def __setitem__(self, name: str, balance: Balance) -> None:
        """For this one."""
        self._mine()[name] = balance

    def pop(self, name: str, default: Any = None) -> Any:
        """From this one."""
        return self._mine().pop(name, default)
