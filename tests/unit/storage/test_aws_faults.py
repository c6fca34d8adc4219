"""Which of AWS's errors pass by themselves: the others need an operator, and are told at once."""

import pytest
from billing.storage.aws_faults import code_of, is_final
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

# https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
THROTTLED = [
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
]
LATE = ["RequestTimeout", "RequestTimeoutException"]
# https://docs.aws.amazon.com/kms/latest/developerguide/throttling.html, as SQS names it
KEYS = ["KMS.ThrottlingException", "KmsThrottled"]
RENEWED = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"]


def _error(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "any")


@pytest.mark.parametrize("code", [*THROTTLED, *LATE, *KEYS, *RENEWED])
def test_what_passes_by_itself_is_not_final(code: str) -> None:
    """The next try may succeed."""
    assert not is_final(_error(code, 400))
    assert is_final(_error(f"{code}_", 400))


@pytest.mark.parametrize(("status", "final"), [(400, True), (499, True), (500, False)])
def test_a_fault_of_awss_own_is_not_final(status: int, *, final: bool) -> None:
    """Whatever its name."""
    assert is_final(_error("AccessDeniedException", status)) is final


@pytest.mark.parametrize(
    "error",
    [NoCredentialsError(), EndpointConnectionError(endpoint_url="sqs")],
    ids=lambda error: type(error).__name__,
)
def test_where_aws_did_not_answer_nothing_is_final(error: Exception) -> None:
    """The error has its own name then."""
    assert not is_final(error)
    assert code_of(error) == type(error).__name__


def test_an_answer_without_a_status_or_a_code_is_final() -> None:
    """It is nothing that is known to pass."""
    bare = ClientError({}, "any")
    assert (is_final(bare), code_of(bare)) == (True, "no code")
