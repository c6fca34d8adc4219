"""The door to DynamoDB: conditional writes and transactions, each with its timeouts, its attempts and its batch size.

Four answers only: it was written; it was refused, and this is what stood there (ConditionFailedError); there was no time for it and
nothing was done (NotDoneError); nobody knows (OutcomeUnknownError). https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from uuid import uuid4

import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
)

from billing import tracing
from billing.deadline import Deadline
from billing.errors import (
    AwsRefusedError,
    ConditionFailedError,
    Item,
    NotDoneError,
    OutcomeUnknownError,
)
from billing.storage.expressions import decode, encode, spell
from billing.storage.writes import KEY_NAMES, Table, Write

CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 2
USER_AGENT: Final = f"Topup Botocore/{botocore.__version__}"
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
UNCLEAR: Final = frozenset(
    {"InternalServerError", "ServiceUnavailable", "TransactionInProgressException"}
)
# Reasons inside a cancelled transaction that pass by themselves.
PASSING: Final = frozenset(
    {
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
    }
)
SERVER_ERROR: Final = 500
READS: Final = frozenset({"GetItem", "Query", "Scan"})
"""Whatever became of one of these, nothing was done."""


class Page(NamedTuple):
    """Some items, and where to go on: None at the end."""

    items: Sequence[Item]
    after: Item | None


class _AgainError(Exception):
    """Asking again is safe: nothing was done, or, if ``unclear``, it may have been, and a repeat does it once only."""

    def __init__(self, why: str, *, unclear: bool) -> None:
        super().__init__(why)
        self.unclear = unclear


class Store:
    """One client, shared by all tables. Thread-safe."""

    def __init__(
        self,
        tables: Mapping[str, str],
        deadline: Deadline,
        region: str | None = None,
        host: str | None = None,
    ) -> None:
        """``tables`` maps ours to the stack's names.

        Region and credentials come from the environment unless given.
        """
        self._tables = tables
        self.deadline = deadline
        self._region = region
        self._host = host

    @cached_property
    def _client(self) -> Any:
        """Made by the first call: it holds credentials, which no snapshot of a container may.

        Of a session of its own: botocore's clients may be shared by threads, the making of them may
        not.
        """
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=64,
            # Retries are ours, in one place: botocore would repeat an unguarded ADD whose answer
            # was lost, and never a conflict.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # what is sent was spelled here; DynamoDB checks it all the same
            parameter_validation=False,
            user_agent=USER_AGENT,  # botocore's own is put together twice for every request
        )
        return botocore.session.get_session().create_client(
            "dynamodb", self._region, endpoint_url=self._host, config=config
        )

    def connect(self) -> None:
        """Make the client now."""
        _ = self._client

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Read one item, strongly consistent."""
        request = {
            "TableName": self._tables[table],
            "Key": _key(table, key),
            "ConsistentRead": True,
        }
        answer = self._ask("GetItem", request, repeatable=True)
        return decode(answer["Item"]) if "Item" in answer else None

    def commit(self, *writes: Write) -> None:
        """All or none of the writes. Safe to repeat: every attempt carries the same token."""
        self._ask("TransactWriteItems", self._transaction(writes), repeatable=True)

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """The same for those who look again before they try again:

        NotDoneError at once for what was not done.

        ``clears_up``: what may have been done is repeated under its token until that is known.
        Otherwise it is OutcomeUnknownError at once, and the caller's to find out.
        """
        self._ask(
            "TransactWriteItems",
            self._transaction(writes),
            repeatable=True,
            is_patient=False,
            clears_up=clears_up,
        )

    def update(self, write: Write) -> Item:
        """One conditional write, answering with the new item.

        Never repeated when its outcome is unknown.
        """
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
            names["#r"], values[":a"], values[":b"] = (
                KEY_NAMES[table][1],
                encode(prefix),
                encode(up_to),
            )
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
        return self._marked("quotas", "open_holds", "open", ("expires_at", "<=", now_epoch), after)

    def unseen(self, since: str, after: Item | None = None) -> Page:
        """Keys of payments paid since then that no reconciliation has seen at Stripe, over all users. A hint as well."""
        return self._marked("payments", "unseen", "unseen", ("completed_at", ">=", since), after)

    def _marked(
        self,
        table: Table,
        index: str,
        mark: str,
        rest: tuple[str, str, str | int],
        after: Item | None,
    ) -> Page:
        """A sparse index: only items that carry the mark, whose value is its name, are in it."""
        name, operator, value = rest
        request = {
            "TableName": self._tables[table],
            "IndexName": index,
            "KeyConditionExpression": f"#m = :m AND #r {operator} :r",
            "ExpressionAttributeNames": {"#m": mark, "#r": name},
            "ExpressionAttributeValues": {":m": encode(mark), ":r": encode(value)},
            "Limit": PAGE_MAX,
        }
        return self._page("Query", request, after)

    def scan(
        self, table: Table, segment: int = 0, segments: int = 1, after: Item | None = None
    ) -> Page:
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

    def _transaction(self, writes: Sequence[Write]) -> dict[str, Any]:
        if not 0 < len(writes) <= WRITES_MAX:
            message = f"a transaction takes 1 to {WRITES_MAX} writes, not {len(writes)}"
            raise ValueError(message)
        return {
            "TransactItems": [self._action(write) for write in writes],
            "ClientRequestToken": str(uuid4()),
        }

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

    def _ask(
        self,
        operation: str,
        request: dict[str, Any],
        *,
        repeatable: bool,
        is_patient: bool = True,
        clears_up: bool = True,
    ) -> dict[str, Any]:
        last: Exception | None = None
        unclear = False
        for _ in self.deadline.attempts():
            try:
                return self._once(operation, request, repeatable=repeatable)
            except _AgainError as again:
                last = again
                unclear = unclear or (again.unclear and operation not in READS)
            if not (is_patient or (unclear and clears_up)):
                break
        if unclear:
            raise OutcomeUnknownError(f"{operation} gave no answer in time") from last
        raise NotDoneError(f"{operation} was not carried out in time") from last

    def _once(self, operation: str, request: dict[str, Any], *, repeatable: bool) -> dict[str, Any]:
        try:
            with tracing.call("DynamoDB", operation):
                answer: dict[str, Any] = self._client._make_api_call(operation, request)  # noqa: SLF001 - what every method comes down to
            return answer
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise _AgainError("nothing was sent", unclear=False) from error
        except NoCredentialsError as error:
            self.__dict__.pop(
                "_client", None
            )  # it would remember for ever that there were none for a moment
            raise NotDoneError(f"{operation}: {type(error).__name__}, nothing was sent") from error
        except BotoCoreError as error:
            if repeatable:
                raise _AgainError("the answer was lost", unclear=True) from error
            raise OutcomeUnknownError(f"{operation}: {type(error).__name__}") from error
        except ClientError as error:
            raise _judged(operation, error.response, repeatable=repeatable) from error


def _judged(operation: str, answer: Mapping[str, Any], *, repeatable: bool) -> Exception:
    """What an error answer means.

    All cancellation reasons count: a conflict beside a failed condition is a failed condition.
    """
    code = answer["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError({0: decode(answer["Item"]) if answer.get("Item") else None})
    if code == "TransactionCanceledException":
        return _cancelled(answer.get("CancellationReasons", []))
    if code in NOT_DONE:
        return _AgainError(code, unclear=False)
    if code in UNCLEAR or answer["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR:
        return (
            _AgainError(code, unclear=True)
            if repeatable
            else OutcomeUnknownError(f"{operation}: {code}")
        )
    return AwsRefusedError(f"{operation}: {code}: {answer['Error'].get('Message', '')}")


def _cancelled(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    codes = [reason.get("Code", "None") for reason in reasons]
    refused = {
        number: decode(reason["Item"]) if reason.get("Item") else None
        for number, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if refused:
        return ConditionFailedError(refused)
    if any(code in PASSING for code in codes):
        return _AgainError(", ".join(codes), unclear=False)
    return AwsRefusedError(f"TransactWriteItems was cancelled: {', '.join(codes)}")


def _key(table: Table, key: tuple[str, str]) -> dict[str, Any]:
    hash_name, range_name = KEY_NAMES[table]
    return {hash_name: encode(key[0]), range_name: encode(key[1])}
