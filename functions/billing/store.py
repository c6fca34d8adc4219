"""The door to DynamoDB: conditional writes and transactions, each with its timeouts, its attempts and its batch size.

Three answers only: it was written; it was refused, and this is what stood there (RefusedError); nobody knows
(OutcomeUnknownError). https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, NoCredentialsError
from pynamodb.connection import Connection

from billing.errors import Item, OutcomeUnknownError, RefusedError
from billing.patience import Patience
from billing.spelling import decode, encode, spell
from billing.writes import KEY_NAMES, Table, Write

CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 2
PAGE_MAX: Final = 100
"""Items a page, whatever the caller asks for."""
WRITES_MAX: Final = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""

# The request was not carried out, so that asking again is always safe.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
NOT_DONE: Final = frozenset(
    {
        "TransactionConflictException",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
    }
)
# It may have been carried out: asking again is safe only under the same token, or for a read.
UNCLEAR: Final = frozenset({"InternalServerError", "ServiceUnavailable", "TransactionInProgressException"})
# Reasons inside a cancelled transaction that pass by themselves.
PASSING: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"})
SERVER_ERROR: Final = 500


class StoreFaultError(Exception):
    """DynamoDB refuses the request as such: a missing grant, a missing table, our own bug. Asking again does not help."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some items, and where to go on: None at the end."""

    items: Sequence[Item]
    after: Item | None


class _AgainError(Exception):
    """Nothing was done, or asking again is safe: the loop asks again while there is time."""


class Store:
    """One connection, shared by all tables. Thread-safe."""

    def __init__(self, tables: Mapping[str, str], patience: Patience, region: str | None = None, host: str | None = None) -> None:
        """``tables`` maps ours to the stack's names. Region and credentials come from the environment unless given."""
        self._tables = tables
        self.patience = patience
        # Retries are ours, in one place: botocore would repeat an unguarded ADD whose answer was lost, and never a conflict.
        self._connection = Connection(
            region=region,
            host=host,
            connect_timeout_seconds=CONNECT_SECONDS,
            read_timeout_seconds=READ_SECONDS,
            retry_configuration={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=64,
        )

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Read one item, strongly consistent."""
        request = {"TableName": self._tables[table], "Key": _key(table, key), "ConsistentRead": True}
        answer = self._ask("GetItem", request, repeatable=True)
        return decode(answer["Item"]) if "Item" in answer else None

    def commit(self, *writes: Write) -> None:
        """All or none of the writes. Safe to repeat: every attempt carries the same token."""
        if not 0 < len(writes) <= WRITES_MAX:
            message = f"a transaction takes 1 to {WRITES_MAX} writes, not {len(writes)}"
            raise ValueError(message)
        request = {"TransactItems": [self._action(write) for write in writes], "ClientRequestToken": str(uuid4())}
        self._ask("TransactWriteItems", request, repeatable=True)

    def update(self, write: Write) -> Item:
        """One conditional write, answering with the new item. Never repeated when its outcome is unknown."""
        spelled = spell(write)
        request = {
            "TableName": self._tables[write.table],
            "Key": _key(write.table, write.key),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **spelled,
        }
        return decode(self._ask("UpdateItem", request, repeatable=False)["Attributes"])

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
        """One page of an owner's items, in key order (or in that of the local index), strongly consistent."""
        names = {"#h": KEY_NAMES[table][0]}
        values: dict[str, Any] = {":h": encode(owner)}
        condition = "#h = :h"
        if prefix and up_to:
            names["#r"], values[":a"], values[":b"] = KEY_NAMES[table][1], encode(prefix), encode(up_to)
            condition += " AND #r BETWEEN :a AND :b"
        elif prefix:
            names["#r"], values[":p"] = KEY_NAMES[table][1], encode(prefix)
            condition += " AND begins_with(#r, :p)"
        request = {
            "TableName": self._tables[table],
            "KeyConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not newest_first,
            "Limit": min(limit, PAGE_MAX),
            "ConsistentRead": True,
            **({"IndexName": index} if index else {}),
        }
        return self._page("Query", request, after)

    def due(self, now_epoch: int, after: Item | None = None) -> Page:
        """Open holds whose time has passed, over all users, by the eventually consistent index: a hint, never a decision."""
        request = {
            "TableName": self._tables["quotas"],
            "IndexName": "open_holds",
            "KeyConditionExpression": "#o = :o AND #e <= :now",
            "ExpressionAttributeNames": {"#o": "open", "#e": "expires_at"},
            "ExpressionAttributeValues": {":o": encode("open"), ":now": encode(now_epoch)},
            "Limit": PAGE_MAX,
        }
        return self._page("Query", request, after)

    def scan(self, table: Table, segment: int = 0, segments: int = 1, after: Item | None = None) -> Page:
        """One page of one segment of a whole table, strongly consistent."""
        request = {
            "TableName": self._tables[table],
            "Segment": segment,
            "TotalSegments": segments,
            "Limit": PAGE_MAX,
            "ConsistentRead": True,
        }
        return self._page("Scan", request, after)

    def pages(self, table: Table, owner: str, prefix: str = "") -> Iterator[Item]:
        """All of an owner's items, page by page."""
        after = None
        while True:
            page = self.query(table, owner, prefix=prefix, after=after)
            yield from page.items
            if (after := page.after) is None:
                return

    def _page(self, operation: str, request: dict[str, Any], after: Item | None) -> Page:
        if after is not None:
            request["ExclusiveStartKey"] = {name: encode(value) for name, value in after.items()}
        answer = self._ask(operation, request, repeatable=True)
        last = answer.get("LastEvaluatedKey")
        return Page([decode(item) for item in answer["Items"]], decode(last) if last else None)

    def _action(self, write: Write) -> dict[str, Any]:
        body = {
            "TableName": self._tables[write.table],
            "Key": _key(write.table, write.key),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **spell(write),
        }
        if write.delete:
            return {"Delete": body}
        return {"ConditionCheck" if write.is_check else "Update": body}

    def _ask(self, operation: str, request: dict[str, Any], *, repeatable: bool) -> dict[str, Any]:
        last: Exception | None = None
        for _ in self.patience.attempts():
            try:
                return self._once(operation, request, repeatable=repeatable)
            except _AgainError as again:
                last = again
        raise OutcomeUnknownError(f"{operation} gave no answer in time") from last

    def _once(self, operation: str, request: dict[str, Any], *, repeatable: bool) -> dict[str, Any]:
        try:
            return self._connection.client._make_api_call(operation, request)  # noqa: SLF001 - pynamodb's own way to call it
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise _AgainError from error  # nothing was sent
        except BotoCoreError as error:
            if repeatable and not isinstance(error, NoCredentialsError):
                raise _AgainError from error
            raise OutcomeUnknownError(f"{operation}: {type(error).__name__}") from error
        except ClientError as error:
            raise _judged(operation, error.response, repeatable=repeatable) from error


def _judged(operation: str, answer: Mapping[str, Any], *, repeatable: bool) -> Exception:
    """What an error answer means. All cancellation reasons count: a conflict beside a failed condition is a failed condition."""
    code = answer["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return RefusedError({0: decode(answer["Item"]) if answer.get("Item") else None})
    if code == "TransactionCanceledException":
        return _cancelled(answer.get("CancellationReasons", []))
    if code in NOT_DONE or (repeatable and (code in UNCLEAR or answer["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR)):
        return _AgainError(code)
    if code in UNCLEAR or answer["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR:
        return OutcomeUnknownError(f"{operation}: {code}")
    return StoreFaultError(f"{operation}: {code}: {answer['Error'].get('Message', '')}")


def _cancelled(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    codes = [reason.get("Code", "None") for reason in reasons]
    refused = {
        number: decode(reason["Item"]) if reason.get("Item") else None
        for number, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if refused:
        return RefusedError(refused)
    if any(code in PASSING for code in codes):
        return _AgainError(", ".join(codes))
    return StoreFaultError(f"TransactWriteItems was cancelled: {', '.join(codes)}")


def _key(table: Table, key: tuple[str, str]) -> dict[str, Any]:
    hash_name, range_name = KEY_NAMES[table]
    return {hash_name: encode(key[0]), range_name: encode(key[1])}
