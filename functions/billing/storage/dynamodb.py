"""The client of DynamoDB: it reads, and makes conditional writes and transactions.

A write ends in one of four ways. It was written. A condition failed, and ConditionFailedError has
the stored item. Nothing was written in time (NotDoneError). The outcome is unknown
(OutcomeUnknownError).

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

from billing.errors import Item
from billing.storage.connection import (
    IF_NOT_DONE,
    IF_UNKNOWN,
    NEVER,
    UNTIL_DEADLINE,
)
from billing.storage.expressions import spell
from billing.storage.reader import Reader, key_of
from billing.storage.values import decode
from billing.storage.writes import Write

WRITES_MAX: Final = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""


class Store(Reader):
    """A thread-safe client for all tables of the stack."""

    def commit(self, *writes: Write) -> None:
        """Make all of the writes in one atomic transaction, or none of them.

        Temporary errors are retried until the deadline. All attempts carry the
        same token, so DynamoDB carries the transaction out at most once.
        """
        self._ask(
            "TransactWriteItems", self._transaction(writes), UNTIL_DEADLINE
        )

    def commit_once(self, *writes: Write, clears_up: bool) -> None:
        """Make all of the writes in one atomic transaction, or none of them.

        For callers that read again before they retry: it raises NotDoneError
        at once if nothing was written. If the outcome is unknown and
        ``clears_up`` is true, it repeats the transaction with the same token
        until the outcome is known or the deadline passes. If ``clears_up`` is
        false, it raises OutcomeUnknownError at once.
        """
        retry = IF_UNKNOWN if clears_up else NEVER
        self._ask("TransactWriteItems", self._transaction(writes), retry)

    def update(self, write: Write) -> Item:
        """Make one conditional write, and return the new item.

        Raises ConditionFailedError if its condition fails. If the outcome is
        unknown, it raises OutcomeUnknownError and does not try again.
        """
        request = {
            "TableName": self._tables[write.table],
            "Key": key_of(write.table, write.key),
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **spell(write),
        }
        return decode(
            self._ask("UpdateItem", request, IF_NOT_DONE)["Attributes"]
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
            "Key": key_of(write.table, write.key),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **spell(write),
        }
        if write.delete:
            return {"Delete": body}
        return {"ConditionCheck" if write.is_check else "Update": body}
