"""What goes to SQS and comes from it, byte by byte."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import botocore.httpsession
import pytest
from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.facts import from_item, to_item
from billing.payments.fact_queue import CLIENT, Queue, event_in, read_message
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError
from moto.core.models import botocore_stubber
from support import builders
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore

URL = "https://sqs.us-east-1.amazonaws.com/123456789012/parked"
Answer = tuple[int, dict[str, Any]]


class Wire:
    """Stands where botocore sends: remembers the bodies, and gives one answer."""

    def __init__(self) -> None:
        """It takes everything."""
        self.bodies: list[dict[str, Any]] = []
        self.answer: Answer | Exception = (200, {"MessageId": "m1"})

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """As ``URLLib3Session.send``."""
        self.bodies.append(json.loads(request.body))
        if isinstance(self.answer, Exception):
            raise self.answer
        status, body = self.answer

        class Raw:
            def stream(self) -> Iterator[bytes]:
                """The whole."""
                yield json.dumps(body).encode()

        return AWSResponse(request.url, status, {}, Raw())


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """A quiet one."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    found = Wire()
    session = botocore.httpsession.URLLib3Session
    monkeypatch.setattr(session, "send", lambda _, request: found.send(request))
    # Another test's moto in this process would answer before anything is sent.
    monkeypatch.setattr(botocore_stubber, "enabled", False)
    return found


def _event() -> Any:
    builders.renumber()
    payment = pending(builders.books_on(MemoryStore()), payment_id="pay_1", session_id="cs_1")
    return fact(builders.declined(payment, "expired_card"))


MESSAGE = {
    "fact": "declined",
    "fact_id": "evt_00000002",
    "type": "payment_intent.payment_failed",
    "created": 1767323047,
    "payment_id": "pay_1",
    "user_id": "alice",
    "failure_code": "expired_card",
    "needs_record": False,
}


def test_an_event_is_sent_whole_and_is_seen_after_twenty_seconds(wire: Wire) -> None:
    """By then, what it was ahead of has usually come."""
    Queue(URL).keep(_event())
    (body,) = wire.bodies
    assert json.loads(body.pop("MessageBody")) == MESSAGE
    assert body == {"QueueUrl": URL, "DelaySeconds": 20}


def test_a_message_is_read_as_it_was_sent() -> None:
    """What a newer version added is left alone."""
    assert read_message(json.dumps({**MESSAGE, "newer": 1})) == _event()
    assert to_item(_event()) == MESSAGE
    assert from_item(MESSAGE) == _event()


def _refusal(status: int, code: str) -> Answer:
    return status, {"__type": f"com.amazonaws.sqs#{code}", "message": "no"}


@pytest.mark.parametrize(
    ("answer", "raised", "code"),
    [
        (_refusal(400, "AccessDenied"), AwsRefusedError, "AccessDenied"),
        (_refusal(400, "QueueDoesNotExist"), AwsRefusedError, "QueueDoesNotExist"),
        (_refusal(400, "RequestThrottled"), OutcomeUnknownError, "RequestThrottled"),
        (_refusal(503, "ServiceUnavailable"), OutcomeUnknownError, "ServiceUnavailable"),
        (
            ConnectTimeoutError(endpoint_url=URL),
            OutcomeUnknownError,
            "ConnectTimeoutError",
        ),
    ],
)
def test_a_refusal_for_good_is_told_from_an_outage(
    wire: Wire, answer: Answer | Exception, raised: type[Exception], code: str
) -> None:
    """One try: it comes last in a request."""
    wire.answer = answer
    why = f"^the queue of parked facts did not take the fact: .*{code}$"
    with pytest.raises(raised, match=why):
        Queue(URL).keep(_event())
    assert len(wire.bodies) == 1


def test_the_queue_is_waited_for_three_seconds_at_most() -> None:
    """A second for the connection, and two for the answer."""
    assert (CLIENT.connect_timeout, CLIENT.read_timeout) == (1, 2)
    assert CLIENT.retries == {"total_max_attempts": 1, "mode": "standard"}


EVENT = {"id": "evt_1", "object": "event"}
SOURCE = "aws.partner/stripe.com/ed_1"


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"source": SOURCE, "detail": EVENT}, EVENT),
        ({"source": "aws.partner/stripe.com/", "detail": EVENT}, EVENT),
        ({"source": "aws.partner/stripe.com", "detail": EVENT}, None),
        ({"source": "x" + SOURCE, "detail": EVENT}, None),
        ({"source": SOURCE, "detail": "text"}, {}),
        ({"source": SOURCE, "detail": None}, {}),
        ({"source": SOURCE}, {}),
        ({"detail": EVENT}, None),
        ([{"source": SOURCE, "detail": EVENT}], None),
        (SOURCE, None),
        (None, None),
        (MESSAGE, None),
    ],
)
def test_an_event_of_eventbridge_is_told_from_other_messages(message: Any, event: Any) -> None:
    """https://docs.stripe.com/event-destinations/eventbridge#event-structure."""
    assert event_in(json.dumps(message)) == event


@pytest.mark.parametrize("read", [read_message, event_in])
def test_a_message_that_is_not_json_says_so(read: Callable[[str], object]) -> None:
    """Nested without end, it says that."""
    with pytest.raises(json.JSONDecodeError):
        read("{")
    with pytest.raises(ValueError, match=r"^the message is nested too deeply$"):
        read("[" * 200_000)


@pytest.mark.parametrize(
    ("message", "raised"),
    [
        ({}, KeyError),
        ({"fact": "other"}, KeyError),
        ({"fact": ["declined"]}, TypeError),
        ({"fact": "declined"}, TypeError),
        ([], TypeError),
        (None, TypeError),
    ],
)
def test_a_message_that_is_no_fact_is_refused(message: Any, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        read_message(json.dumps(message))


def test_each_kind_of_fact_is_sent_and_read_again() -> None:
    """With every member that it has."""
    payment = pending(builders.books_on(MemoryStore()))
    dispute: Any = fact(builders.dispute(payment, "created", "needs_response", -5))
    for event in (
        fact(builders.completed(payment)),
        fact(builders.declined(payment)),
        fact(builders.refunded(payment, 5)),
        fact(builders.refund(payment, "re_1", 5)),
        replace(dispute, closed="lost", converted=True),
    ):
        assert read_message(json.dumps(to_item(event))) == event
