"""The client of DynamoDB: conditional writes and transactions, with time-outs, retries and pages.

A write ends in one of four ways. It was written. A condition failed, and ConditionFailedError has
the stored item. Nothing was written in time (NotDoneError). The outcome is unknown
(OutcomeUnknownError).

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple
from uuid import uuid4

import botocore.session
from botocore import xform_name
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
from billing.storage.keys import TOP_UP
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
    {
        "InternalServerError",
        "ServiceUnavailable",
        "TransactionInProgressException",
    }
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
"""Operations that write nothing, whatever became of them."""


class Retry(NamedTuple):
    """Says which failures of a request are retried until the deadline."""

    not_done: bool
    """It is known that nothing was written."""
    unknown: bool
    """It may have been written: only for what is idempotent."""


UNTIL_DEADLINE: Final = Retry(not_done=True, unknown=True)
IF_NOT_DONE: Final = Retry(not_done=True, unknown=False)
IF_UNKNOWN: Final = Retry(not_done=False, unknown=True)
NEVER: Final = Retry(not_done=False, unknown=False)


class Page(NamedTuple):
    """A page of items, and the key at which the next page begins, or None after the last."""

    items: Sequence[Item]
    after: Item | None


class _NoResultError(Exception):
    """One try had no result. ``is_unknown``: it may have been carried out."""

    def __init__(self, why: str, *, is_unknown: bool) -> None:
        super().__init__(why)
        self.is_unknown = is_unknown


class Store:
    """A thread-safe client for all tables of the stack."""

    def __init__(
        self,
        tables: Mapping[str, str],
        deadline: Deadline,
        region: str | None = None,
        host: str | None = None,
    ) -> None:
        """``tables`` maps our names of tables to the stack's.

        botocore reads the credentials from the environment, and the region unless it is given.
        """
        self._tables = tables
        self.deadline = deadline
        self._region = region
        self._host = host

    @cached_property
    def _client(self) -> Any:
        """Made by the first call: it holds credentials, which no snapshot of a container may hold.

        It has a session of its own. Threads may share botocore's clients, but not a session:
        https://docs.aws.amazon.com/boto3/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients
        """
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=64,
            # We retry ourselves, in ``_ask``: botocore would repeat an ADD without a condition
            # whose answer was lost, and would never repeat a conflict.
            retries={"total_max_attempts": 1, "mode": "standard"},
            # our own code builds every request, and DynamoDB checks it all the same
            parameter_validation=False,
            user_agent=USER_AGENT,  # botocore builds its own twice for every request
        )
        return botocore.session.get_session().create_client(
            "dynamodb", self._region, endpoint_url=self._host, config=config
        )

    def connect(self) -> None:
        """Create the boto3 client now instead of at the first call."""
        _ = self._client

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """Return one item, or None, from a strongly consistent read."""
        request = {
            "TableName": self._tables[table],
            "Key": _key(table, key),
            "ConsistentRead": True,
        }
        answer = self._ask("GetItem", request, UNTIL_DEADLINE)
        return decode(answer["Item"]) if "Item" in answer else None

    def commit(self, *writes: Write) -> None:
        """Make all of the writes atomically, or none.

        Idempotent: every attempt carries one token.
        """
        self._ask(
            "TransactWriteItems", self._transaction(writes), UNTIL_DEADLINE
        )

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """Make all of the writes or none, for callers that read again before they retry.

        Raises NotDoneError at once if nothing was written. If the outcome is unknown, ``clears_up``
        repeats the transaction under its token until it is known. Without ``clears_up`` it raises
        OutcomeUnknownError at once, and the caller must find out.
        """
        retry = IF_UNKNOWN if clears_up else NEVER
        self._ask("TransactWriteItems", self._transaction(writes), retry)

    def update(self, write: Write) -> Item:
        """Make one conditional write, and return the new item.

        It is never repeated after an unknown outcome.
        """
        request = {
            "TableName": self._tables[write.table],
            "Key": _key(write.table, write.key),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **spell(write),
        }
        return decode(
            self._ask("UpdateItem", request, IF_NOT_DONE)["Attributes"]
        )

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
        self, operation: str, request: dict[str, Any], retry: Retry
    ) -> dict[str, Any]:
        """Send a request until it has a result, or ``retry`` or the deadline ends the tries.

        One try with an unknown outcome makes the whole outcome unknown, whatever later tries say.
        """
        last: _NoResultError | None = None
        is_unknown = False
        for _ in self.deadline.attempts():
            try:
                return self._send(operation, request)
            except _NoResultError as error:
                last = error
                is_unknown = is_unknown or (
                    error.is_unknown and operation not in READS
                )
            may_repeat = retry.unknown if is_unknown else retry.not_done
            if not may_repeat:
                break
        if is_unknown:
            raise OutcomeUnknownError(
                f"{operation} gave no answer in time ({last})"
            ) from last
        raise NotDoneError(f"{operation} was not carried out in time") from last

    def _send(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request once, by the client's own method. Raises what its answer means."""
        try:
            send = getattr(self._client, xform_name(operation))
            with tracing.call("DynamoDB", operation):
                answer: dict[str, Any] = send(**request)
            return answer
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise _NoResultError(
                "nothing was sent", is_unknown=False
            ) from error
        except NoCredentialsError as error:
            # This client would remember for ever that there were none for a moment.
            vars(self).pop("_client", None)
            raise NotDoneError(
                f"{operation}: {type(error).__name__}, nothing was sent"
            ) from error
        except BotoCoreError as error:
            why = f"the answer was lost, {type(error).__name__}"
            raise _NoResultError(why, is_unknown=True) from error
        except ClientError as error:
            raise _meaning(operation, error.response) from error


def _meaning(operation: str, answer: Mapping[str, Any]) -> Exception:
    """Return what an error answer means.

    All cancellation reasons count: a conflict beside a failed condition is a failed condition.
    """
    code = answer["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError({0: _old_item(answer)})
    if code == "TransactionCanceledException":
        return _cancelled(answer.get("CancellationReasons", []))
    if code in NOT_DONE:
        return _NoResultError(code, is_unknown=False)
    if (
        code in UNCLEAR
        or answer["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR
    ):
        return _NoResultError(code, is_unknown=True)
    return AwsRefusedError(
        f"{operation}: {code}: {answer['Error'].get('Message', '')}"
    )


def _cancelled(reasons: Sequence[Mapping[str, Any]]) -> Exception:
    codes = [reason.get("Code", "None") for reason in reasons]
    refused = {
        number: _old_item(reason)
        for number, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if refused:
        return ConditionFailedError(refused)
    if any(code in PASSING for code in codes):
        return _NoResultError(", ".join(codes), is_unknown=False)
    return AwsRefusedError(
        f"TransactWriteItems was cancelled: {', '.join(codes)}"
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


def _old_item(refusal: Mapping[str, Any]) -> Item | None:
    """Return the item that a failed condition met."""
    return decode(refusal["Item"]) if refusal.get("Item") else None


def _key(table: Table, key: tuple[str, str]) -> dict[str, Any]:
    hash_name, range_name = KEY_NAMES[table]
    return {hash_name: encode(key[0]), range_name: encode(key[1])}
