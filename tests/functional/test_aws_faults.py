"""What AWS refuses for good is an internal error, reported at the first occurrence; what passes is
asked for again.
"""

import pytest
from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.payments.fact_queue import Queue
from billing.storage import aws_faults
from botocore.exceptions import ClientError, ConnectTimeoutError
from functional.lab import Lab
from support.builders import completed, fact, pending, refunded


def _error(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Anything"
    )


def _lines(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (_error("AccessDeniedException", 400), True),
        (_error("ResourceNotFoundException", 400), True),
        (_error("DecryptionFailure", 400), True),
        (_error("AWS.SimpleQueueService.NonExistentQueue", 400), True),
        (_error("ThrottlingException", 400), False),
        (_error("RequestThrottled", 403), False),
        (_error("ExpiredTokenException", 403), False),
        (_error("InternalServiceError", 500), False),
        (ConnectTimeoutError(endpoint_url="https://sqs"), False),
    ],
    ids=lambda value: aws_faults.code_of(value) if isinstance(value, Exception) else str(value),
)
def test_a_missing_grant_or_resource_stays_and_a_throttle_passes(
    error: Exception, *, final: bool
) -> None:
    """https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html."""
    assert aws_faults.is_final(error) is final


@pytest.mark.parametrize("secret", ["StripeKeySecret", "WebhookSecretsSecret"])
def test_a_secret_that_is_gone_is_no_unknown_outcome(
    lab: Lab, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    """500 and InternalErrorsAlarm, which needs one; to Stripe it is 5xx like any other, so that it
    delivers again.
    """
    payment = pending(lab.books)
    lab.boto("secretsmanager").delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    if secret == "StripeKeySecret":
        said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "pro"})
    else:
        said = lab.deliver(completed(payment))
    assert (said.status, said.code) == (500, "internal_error")
    assert f"the secret {secret} cannot be read: ResourceNotFoundException" in _lines(caplog)


def test_a_queue_that_is_gone_is_no_unknown_outcome(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """A refund that is ahead of its payment must be kept, and cannot be."""
    url = lab.template.environment()["PARKED_QUEUE_URL"]
    lab.boto("sqs").delete_queue(QueueUrl=url)
    said = lab.deliver(refunded(pending(lab.books), 999))
    assert (said.status, said.code) == (500, "internal_error")
    assert "did not take the fact: " in _lines(caplog)


def test_a_queue_that_is_out_of_reach_is_an_unknown_outcome(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it has the fact is unknown."""
    monkeypatch.setattr("billing.payments.fact_queue._client", _Silent)
    with pytest.raises(OutcomeUnknownError, match="ConnectTimeoutError") as unknown:
        Queue("https://sqs").keep(fact(completed(pending(lab.books))))
    assert not isinstance(unknown.value, AwsRefusedError)


class _Silent:
    def send_message(self, **_: object) -> None:
        """No answer."""
        raise ConnectTimeoutError(endpoint_url="https://sqs")
