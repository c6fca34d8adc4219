"""Reads items from DynamoDB: one, or page by page.

Pages are of one partition, of a sparse index, or of a whole table.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from billing.errors import Item
from billing.storage.connection import UNTIL_DEADLINE, Connection
from billing.storage.keys import TOP_UP
from billing.storage.values import decode, encode
from billing.storage.writes import KEY_NAMES, Table

PAGE_MAX: Final = 100
"""The most items in one page. A caller may ask for fewer."""


class Page(NamedTuple):
    """A page of items, and the key after which the next page starts.

    ``after`` is None on the last page.
    """

    items: Sequence[Item]
    after: Item | None


class Reader(Connection):
    """Reads items from this deployment's DynamoDB tables."""

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Return one item, or None if there is none.

        The read is strongly consistent.
        """
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
        """Return one page of a partition's items. The read is consistent.

        Items come in the order of the table's range key, or of the local index
        named ``index``. ``prefix`` selects the range keys that start with it.
        With ``up_to``, it selects the range keys from ``prefix`` to ``up_to``.
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
        """Return one page of holds or lots that expire by ``now_epoch``.

        They are of all users. A lot is the units of one purchase or grant. An
        index lists the rows by their attribute ``open``, and ``mark`` is the
        value to look for: "open", or the value of lots for which a reminder is
        still to be sent. The index is eventually consistent, so callers must
        check each row.
        """
        rest = ("expires_at", "<=", now_epoch)
        return self._marked(
            "quotas", "open_holds", "open", rest, after, marked=mark
        )

    def due_notices(self, now_epoch: int, after: Item | None = None) -> Page:
        """Return one page of keys of events to the seller that must be sent.

        The time of their next try has come, and they are of all users. The
        index is eventually consistent, so callers must check each row.
        """
        return self._marked(
            "notices", "due_notices", "due", ("due_at", "<=", now_epoch), after
        )

    def due_top_ups(self, now_epoch: int, after: Item | None = None) -> Page:
        """Return one page of keys of automatic top-ups that must be run.

        They are rows of customers' agreements, of all users, whose time has
        come. The index is eventually consistent, so callers must check each
        row.
        """
        return self._marked(
            "quotas",
            "open_holds",
            "open",
            ("expires_at", "<=", now_epoch),
            after,
            marked=TOP_UP,
        )

    def unseen(self, since: str, after: Item | None = None) -> Page:
        """Return one page of keys of payments not yet compared with Stripe.

        They were paid at ``since`` or later, by any user, and no
        reconciliation has seen them. The index is eventually consistent, so
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
        """Return one page of the items of a sparse index.

        The index has only items with the attribute ``mark``. Its value must be
        ``marked``, or the attribute's own name if ``marked`` is empty.
        ``rest`` is a condition on the index's range key: its name, an operator
        and a value.
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
        """Yield all items of a partition, read page by page.

        ``prefix`` selects the range keys that start with it.
        """
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
    """Return a query's condition, with its placeholders' names and values.

    It selects the partition ``owner``. ``prefix`` selects the range keys that
    start with it, or with ``up_to`` the range keys from one to the other.
    """
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
    """Return a row's table key in DynamoDB's format."""
    hash_name, range_name = KEY_NAMES[table]
    return {hash_name: encode(key[0]), range_name: encode(key[1])}
