"""Turns DynamoDB's error answers into our exceptions.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from billing.errors import AwsRefusedError, ConditionFailedError, Item
from billing.storage.values import decode

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


class NoResultError(Exception):
    """One attempt of a DynamoDB request got no result, so another may be made.

    ``is_unknown`` says that the request may have been carried out.
    """

    def __init__(self, why: str, *, is_unknown: bool) -> None:
        """``why`` becomes a part of the error's message.

        ``is_unknown`` says that the request may have been carried out.
        """
        super().__init__(why)
        self.is_unknown = is_unknown


def meaning(operation: str, answer: Mapping[str, Any]) -> Exception:
    """Return our exception for an error answer of DynamoDB.

    It is ConditionFailedError, NoResultError (another attempt may
    succeed) or AwsRefusedError.
    """
    code = answer["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError({0: _old_item(answer)})
    if code == "TransactionCanceledException":
        return _cancelled(answer.get("CancellationReasons", []))
    if code in NOT_DONE:
        return NoResultError(code, is_unknown=False)
    if (
        code in UNCLEAR
        or answer["ResponseMetadata"]["HTTPStatusCode"] >= SERVER_ERROR
    ):
        return NoResultError(code, is_unknown=True)
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
        return NoResultError(", ".join(codes), is_unknown=False)
    return AwsRefusedError(
        f"TransactWriteItems was cancelled: {', '.join(codes)}"
    )


def _old_item(refusal: Mapping[str, Any]) -> Item | None:
    """Return the stored item for which the condition failed.

    Returns None if there was no such item.
    """
    return decode(refusal["Item"]) if refusal.get("Item") else None
