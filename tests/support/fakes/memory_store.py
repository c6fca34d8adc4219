"""A twin of the product's store in memory: the same five calls, the same refusals, one dict.

For schedules in the thousands.

That it behaves as DynamoDB does is itself tested, write by write, in tests/properties/test_twin.py.
"""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from billing.deadline import Deadline
from billing.errors import ConditionFailedError, Item
from billing.storage.dynamodb import WRITES_MAX
from billing.storage.reader import Page
from billing.storage.writes import KEY_NAMES, Must, Table, Write
from support.deadlines import PausedDeadline

_T = TypeVar("_T")
INDEX_KEYS = {"by_time": "booked_at", "": None}
MARKED_A_PAGE = 2
"""Of what carries a mark: few, so that code that reads the first page alone fails."""


class MemoryStore:
    """Duck-typed like billing.store.Store."""

    def __init__(self, deadline: Deadline | None = None) -> None:
        """Begin empty."""
        self.tables: dict[str, dict[tuple[str, str], Item]] = {table: {} for table in KEY_NAMES}
        self.deadline = deadline or PausedDeadline()
        self.calls = 0
        self.marked_a_page = MARKED_A_PAGE

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Read one item."""
        self.calls += 1
        return copy_of(self.tables[table].get(key))

    def commit(self, *writes: Write) -> None:
        """All or none."""
        self.calls += 1
        places = [(write.table, write.key) for write in writes]
        assert len(set(places)) == len(places), "DynamoDB refuses two actions on one item"
        assert 0 < len(places) <= WRITES_MAX
        assert all(_names_each_attribute_once(write) for write in writes)
        assert not any(
            set(KEY_NAMES[write.table]) & {*write.set, *write.add, *write.remove}
            for write in writes
        ), "DynamoDB refuses to change a key"
        old = {
            number: copy_of(self.tables[write.table].get(write.key))
            for number, write in enumerate(writes)
            if not all(_holds(must, self.tables[write.table].get(write.key)) for must in write.must)
        }
        if old:
            raise ConditionFailedError(old)
        for write in writes:
            self._carry_out(write)

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """The same: here everything is known at once."""
        del clears_up
        self.commit(*writes)

    def update(self, write: Write) -> Item:
        """One write, answering with the new item."""
        self.commit(write)
        return copy_of(self.tables[write.table][write.key])

    def query(
        self,
        table: Table,
        owner: str,
        *,
        prefix: str = "",
        limit: int = 100,
        newest_first: bool = False,
        after: Item | None = None,
        index: str = "",
        up_to: str = "",
    ) -> Page:
        """One page of an owner's items."""
        self.calls += 1
        range_name = KEY_NAMES[table][1]
        order = INDEX_KEYS[index] or range_name

        def place(item: Item) -> tuple[Any, Any]:
            return (item[order], item[range_name])

        mine = [(name, item) for (who, name), item in self.tables[table].items() if who == owner]
        rows = [
            item
            for name, item in mine
            if (prefix <= name <= up_to if up_to else name.startswith(prefix))
        ]
        rows = sorted((row for row in rows if order in row), key=place, reverse=newest_first)
        if after is not None:
            rows = [
                row
                for row in rows
                if (place(row) < place(after) if newest_first else place(row) > place(after))
            ]
        return _page(table, rows, limit, order)

    def due(self, now_epoch: int, after: Item | None = None, mark: str = "open") -> Page:
        """Holds and lots under a mark past their time."""
        return self._marked(
            "quotas", "open", "expires_at", lambda due: due <= now_epoch, after, marked=mark
        )

    def due_notices(self, now_epoch: int, after: Item | None = None) -> Page:
        """Events out that are due."""
        return self._marked("notices", "due", "due_at", lambda due_at: due_at <= now_epoch, after)

    def due_top_ups(self, now_epoch: int, after: Item | None = None) -> Page:
        """Agreements to look at."""
        return self._marked(
            "quotas", "open", "expires_at", lambda due: due <= now_epoch, after, marked="top_up"
        )

    def unseen(self, since: str, after: Item | None = None) -> Page:
        """Payments that no reconciliation has seen at Stripe."""
        return self._marked(
            "payments", "unseen", "completed_at", lambda completed_at: completed_at >= since, after
        )

    def _marked(
        self,
        table: Table,
        mark: str,
        order: str,
        counts: Callable[[Any], bool],
        after: Item | None,
        *,
        marked: str = "",
    ) -> Page:
        """One page of a sparse index, keys alone.

        As in DynamoDB, one that is full says that there is more, though it be the last.
        """
        names = (order, *KEY_NAMES[table])

        def place(item: Item) -> tuple[Any, ...]:
            return tuple(item[name] for name in names)

        rows = sorted(
            (
                item
                for item in self.tables[table].values()
                if item.get(mark) == (marked or mark) and order in item and counts(item[order])
            ),
            key=place,
        )
        shown = [row for row in rows if after is None or place(row) > place(after)][
            : self.marked_a_page
        ]
        keys = [{name: row[name] for name in (mark, *names)} for row in shown]
        return Page(keys, dict(keys[-1]) if len(keys) == self.marked_a_page else None)

    def scan(
        self, table: Table, segment: int = 0, segments: int = 1, after: Item | None = None
    ) -> Page:
        """One page of one segment."""
        hash_name, range_name = KEY_NAMES[table]
        keys = sorted(
            key for key in self.tables[table] if sum(map(ord, key[0])) % segments == segment
        )
        if after is not None:
            keys = [key for key in keys if key > (after[hash_name], after[range_name])]
        return _page(table, [self.tables[table][key] for key in keys], 100, range_name)

    def pages(self, table: Table, owner: str, prefix: str = "") -> Iterator[Item]:
        """All of an owner's items."""
        yield from self.query(table, owner, prefix=prefix, limit=10**9).items

    def _carry_out(self, write: Write) -> None:
        rows = self.tables[write.table]
        if write.delete:
            rows.pop(write.key, None)
            return
        if write.is_check:
            return
        hash_name, range_name = KEY_NAMES[write.table]
        item = rows.setdefault(write.key, {hash_name: write.key[0], range_name: write.key[1]})
        before = dict(item)
        for name, amount in write.add.items():
            item[name] = (
                item[name] | amount
                if isinstance(amount, frozenset) and name in item
                else _sum(item.get(name), amount)
            )
        for name in write.remove:
            item.pop(name, None)
        item.update(copy_of(dict(write.set)))
        item.update({name: before[other] for name, other in write.copy.items()})
        item.update(
            {name: number - before[other] for name, (number, other) in write.subtract.items()}
        )


def _names_each_attribute_once(write: Write) -> bool:
    """Whether no attribute stands in two clauses: DynamoDB refuses paths that overlap.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html
    """
    names = (*write.set, *write.add, *write.remove, *write.copy, *write.subtract)
    return len(set(names)) == len(names)


def copy_of(value: _T) -> _T:
    """What an item may hold. copy.deepcopy does the same, and took a fifth of the time of all
    schedules.
    """
    made: Any = value
    if isinstance(value, dict):
        made = {name: copy_of(one) for name, one in value.items()}
    elif isinstance(value, list):
        made = [copy_of(one) for one in value]
    copied: _T = made
    return copied


def _sum(old: Any, amount: Any) -> Any:
    return amount if old is None else old + amount


def _page(table: Table, rows: list[Item], limit: int, order: str) -> Page:
    shown = copy_of(rows[:limit])
    names = {*KEY_NAMES[table], order}
    more = len(rows) > limit
    return Page(shown, {name: shown[-1][name] for name in names} if more else None)


def _holds(must: Must, item: Item | None) -> bool:
    value = None if item is None else item.get(must.name)
    if must.operator == "exists":
        return value is not None
    if must.operator == "absent":
        return value is None
    if value is None:
        return must.or_absent
    if type(value) is not type(must.value):
        return False
    return bool(
        {
            "==": value == must.value,
            ">=": _at_least(value, must.value),
            "<": _at_least(must.value, value) and value != must.value,
            "<=": _at_least(must.value, value),
            ">": _at_least(value, must.value) and value != must.value,
        }[must.operator]
    )


def _at_least(one: Any, other: Any) -> bool:
    return not isinstance(one, frozenset) and one >= other


class Meddled(MemoryStore):
    """A store with one concurrent act just before the next transaction."""

    first: Callable[[], object] | None = None

    def commit(self, *writes: Write) -> None:
        """Do the concurrent act, once, then commit."""
        if (first := self.first) is not None:
            self.first = None
            first()
        super().commit(*writes)
