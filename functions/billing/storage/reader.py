"""Reads items of DynamoDB: one, a partition's, those under a mark, or all, page by page."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from billing.errors import Item
from billing.storage.connection import UNTIL_DEADLINE, Connection
from billing.storage.keys import TOP_UP
from billing.storage.values import decode, encode
from billing.storage.writes import KEY_NAMES, Table

PAGE_MAX: Final = 100
"""Items a page, whatever the caller asks for."""


class Page(NamedTuple):
    """A page of items, and the key at which the next page begins, or None after the last."""

    items: Sequence[Item]
    after: Item | None


class Reader(Connection):
    """Reads items of all tables."""

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Return one item, or None, from a strongly consistent read."""
        request = {
            "TableName": self._tables[table],
            "Key": key_of(table, key),
            "ConsistentRead": True,
        }
        answer = self._ask("GetItem", request, UNTIL_DEADLINE)
        return decode(answer["Item"]) if "Item" in answer else None

    def query(
        self,
        table: Table,
        owner: str,
        *,
        prefix: str = "",
        limit: int = PAGE_MAX,
        newest_first: bool = False,
        after: Item | None = None,
        index: str = "",
        up_to: str = "",
    ) -> Page:
        """Return one page of the items in a partition, from a strongly consistent read.

        The order is that of the table's keys, or of the local ``index``. ``prefix`` selects keys
        that begin with it. With ``up_to`` it selects the keys between the two.
        """
        condition, names, values = _key_condition(table, owner, prefix, up_to)
        request: dict[str, Any] = {
            "TableName": self._tables[table],
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not newest_first,
            "Limit": min(limit, PAGE_MAX),
            "ConsistentRead": True,
        }
        if index:
            request["IndexName"] = index
        return self._page("Query", request, after)

    def due(
        self, now_epoch: int, after: Item | None = None, mark: str = "open"
    ) -> Page:
        """Return one page of holds and lots under a mark that may have expired, of all users.

        The index is eventually consistent, so callers must check each before they act on it.
        """
        rest = ("expires_at", "<=", now_epoch)
        return self._marked(
            "quotas", "open_holds", "open", rest, after, marked=mark
        )

    def due_notices(self, now_epoch: int, after: Item | None = None) -> Page:
        """Return one page of keys of events out that are due, over all users. A hint as well."""
        return self._marked(
            "notices", "due_notices", "due", ("due_at", "<=", now_epoch), after
        )

    def due_top_ups(self, now_epoch: int, after: Item | None = None) -> Page:
        """Return one page of keys of agreements to look at, over all users. A hint as well."""
        return self._marked(
            "quotas",
            "open_holds",
            "open",
            ("expires_at", "<=", now_epoch),
            after,
            marked=TOP_UP,
        )

    def unseen(self, since: str, after: Item | None = None) -> Page:
        """Return one page of keys of payments that no reconciliation has compared with Stripe.

        They were paid since the given time, by any user. The index is eventually consistent, so
        callers must check each payment.
        """
        return self._marked(
            "payments", "unseen", "unseen", ("completed_at", ">=", since), after
        )

    def _marked(
        self,
        table: Table,
        index: str,
        mark: str,
        rest: tuple[str, str, str | int],
        after: Item | None,
        *,
        marked: str = "",
    ) -> Page:
        """Read a sparse index: it has only items that carry the mark.

        The mark's value is its name, or ``marked``.
        """
        name, operator, value = rest
        request = {
            "TableName": self._tables[table],
            "IndexName": index,
            "KeyConditionExpression": f"#m = :m AND #r {operator} :r",
            "ExpressionAttributeNames": {"#m": mark, "#r": name},
            "ExpressionAttributeValues": {
                ":m": encode(marked or mark),
                ":r": encode(value),
            },
            "Limit": PAGE_MAX,
        }
        return self._page("Query", request, after)

    def scan(
        self,
        table: Table,
        segment: int = 0,
        segments: int = 1,
        after: Item | None = None,
    ) -> Page:
        """Return one page of one segment of a table, from a strongly consistent read."""
        request = {
            "TableName": self._tables[table],
            "Segment": segment,
            "TotalSegments": segments,
            "Limit": PAGE_MAX,
            "ConsistentRead": True,
        }
        return self._page("Scan", request, after)

    def pages(
        self, table: Table, owner: str, prefix: str = ""
    ) -> Iterator[Item]:
        """Yield all items of a partition. It reads them page by page."""
        after: Item | None = None
        while True:
            page = self.query(table, owner, prefix=prefix, after=after)
            yield from page.items
            after = page.after
            if after is None:
                return

    def _page(
        self, operation: str, request: dict[str, Any], after: Item | None
    ) -> Page:
        if after is not None:
            request["ExclusiveStartKey"] = {
                name: encode(value) for name, value in after.items()
            }
        answer = self._ask(operation, request, UNTIL_DEADLINE)
        last = answer.get("LastEvaluatedKey")
        return Page(
            [decode(item) for item in answer["Items"]],
            decode(last) if last else None,
        )


def _key_condition(
    table: Table, owner: str, prefix: str, up_to: str
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return a query's condition, with the names and values of its placeholders."""
    hash_name, range_name = KEY_NAMES[table]
    names = {"#h": hash_name}
    values: dict[str, Any] = {":h": encode(owner)}
    condition = "#h = :h"
    if prefix:
        names["#r"] = range_name
    if prefix and up_to:
        values |= {":a": encode(prefix), ":b": encode(up_to)}
        condition += " AND #r BETWEEN :a AND :b"
    elif prefix:
        values[":p"] = encode(prefix)
        condition += " AND begins_with(#r, :p)"
    return condition, names, values


def key_of(table: Table, key: tuple[str, str]) -> dict[str, Any]:
    """Return a row's key as DynamoDB takes it."""
    hash_name, range_name = KEY_NAMES[table]
    return {hash_name: encode(key[0]), range_name: encode(key[1])}
