"""A twin of the product's store in memory: the same five calls, the same refusals, one dict. For schedules in the thousands.

That it behaves as DynamoDB does is itself tested, write by write, in tests/properties/test_twin.py.
"""

import copy
from collections.abc import Iterator
from typing import Any

from billing.errors import Item, RefusedError
from billing.patience import Patience
from billing.store import Page
from billing.writes import KEY_NAMES, Must, Table, Write

INDEX_KEYS = {"by_time": "booked_at", "": None}


class MemoryStore:
    """Duck-typed like billing.store.Store."""

    def __init__(self, patience: Patience | None = None) -> None:
        """Begin empty."""
        self.tables: dict[str, dict[tuple[str, str], Item]] = {table: {} for table in KEY_NAMES}
        self.patience = patience or Patience(sleep=lambda _: None)
        self.calls = 0

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Read one item."""
        self.calls += 1
        return copy.deepcopy(self.tables[table].get(key))

    def commit(self, *writes: Write) -> None:
        """All or none."""
        self.calls += 1
        places = [(write.table, write.key) for write in writes]
        assert len(set(places)) == len(places), "DynamoDB refuses two actions on one item"
        old = {
            number: copy.deepcopy(self.tables[write.table].get(write.key))
            for number, write in enumerate(writes)
            if not all(_holds(must, self.tables[write.table].get(write.key)) for must in write.must)
        }
        if old:
            raise RefusedError(old)
        for write in writes:
            self._carry_out(write)

    def update(self, write: Write) -> Item:
        """One write, answering with the new item."""
        self.commit(write)
        return copy.deepcopy(self.tables[write.table][write.key])

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
        del up_to
        self.calls += 1
        range_name = KEY_NAMES[table][1]
        order = INDEX_KEYS[index] or range_name

        def place(item: Item) -> tuple[Any, Any]:
            return (item[order], item[range_name])

        rows = [item for (who, name), item in self.tables[table].items() if who == owner and name.startswith(prefix)]
        rows = sorted((row for row in rows if order in row), key=place, reverse=newest_first)
        if after is not None:
            rows = [row for row in rows if (place(row) < place(after) if newest_first else place(row) > place(after))]
        return _page(table, rows, limit, order)

    def due(self, now_epoch: int, after: Item | None = None) -> Page:
        """Open holds past their time."""
        del after
        rows = [item for item in self.tables["quotas"].values() if "open" in item and item["expires_at"] <= now_epoch]
        return Page(copy.deepcopy(rows), None)

    def scan(self, table: Table, segment: int = 0, segments: int = 1, after: Item | None = None) -> Page:
        """One page of one segment."""
        hash_name, range_name = KEY_NAMES[table]
        keys = sorted(key for key in self.tables[table] if sum(map(ord, key[0])) % segments == segment)
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
        for name, amount in write.add.items():
            item[name] = item[name] | amount if isinstance(amount, frozenset) and name in item else _sum(item.get(name), amount)
        for name in write.remove:
            item.pop(name, None)
        item.update(copy.deepcopy(dict(write.set)))


def _sum(old: Any, amount: Any) -> Any:
    return amount if old is None else old + amount


def _page(table: Table, rows: list[Item], limit: int, order: str) -> Page:
    shown = copy.deepcopy(rows[:limit])
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
