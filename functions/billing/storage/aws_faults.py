"""Classifies AWS's errors: temporary ones, and those that an operator must fix."""

from typing import Final

from botocore.exceptions import ClientError

SERVER_ERROR: Final = 500
# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html, and credentials that
# are about to be renewed.
PASSING: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "ExpiredToken",
        "ExpiredTokenException",
        "KMS.ThrottlingException",
        "KmsThrottled",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def is_final(error: Exception) -> bool:
    """Return whether AWS would answer the same request with the same error again.

    The causes are a missing permission, a missing resource and a malformed request.
    """
    if not isinstance(error, ClientError):
        return False
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status < SERVER_ERROR and code_of(error) not in PASSING


def code_of(error: Exception) -> str:
    """Return AWS's error code, or the exception's name if AWS did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "no code"))
    return type(error).__name__
