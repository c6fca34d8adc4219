"""Keeps Stripe's events in an SQS queue until they are settled.

To settle an event is to write its effect to our tables. The queue is outside
DynamoDB, so a failure of DynamoDB alone, or of SQS alone, loses no event. If
the parameter StripeEventBus is set, the queue also receives Stripe's events
from Amazon EventBridge.
"""

import json
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from billing.errors import AwsRefusedError, OutcomeUnknownError
from billing.facts import Fact, from_item, to_item
from billing.storage import aws_faults

CLIENT = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"total_max_attempts": 1, "mode": "standard"},
)
"""One attempt only: sending comes last in a request, and a failure is answered
with 5xx, so that the caller repeats the request.
"""
DELAY_SECONDS = 20
"""How long SQS waits before it delivers an event. If the event came before its
payment, the payment has usually arrived by then.
"""
STRIPES_SOURCE: Final = "aws.partner/stripe.com/"
"""The start of ``source`` in an event from EventBridge. Only Stripe can send
one: https://docs.stripe.com/event-destinations/eventbridge#event-structure
"""


@cache
def _client() -> Any:
    return botocore.session.get_session().create_client("sqs", config=CLIENT)


class Queue:
    """Sends parsed Stripe events to SQS if they could not be booked.

    They are booked later from there.
    """

    def __init__(self, url: str) -> None:
        """``url`` is the queue's URL, as SQS gives it."""
        self._url = url

    def keep(self, fact: Fact) -> None:
        """Send the event to the queue. After this returns, it is not lost.

        Raises AwsRefusedError if SQS would refuse the same message again, and
        OutcomeUnknownError for any other failure.
        """
        try:
            _client().send_message(
                QueueUrl=self._url,
                MessageBody=json.dumps(to_item(fact)),
                DelaySeconds=DELAY_SECONDS,
            )
        except (BotoCoreError, ClientError) as error:
            code = aws_faults.code_of(error)
            message = f"the queue of parked facts did not take the fact: {code}"
            if aws_faults.is_final(error):
                raise AwsRefusedError(message) from error
            raise OutcomeUnknownError(message) from error


def read_message(body: str) -> Fact:
    """Return the event in a message that ``Queue.keep`` has sent.

    The result is a fact: an event of Stripe as we parsed it. Raises
    ValueError, KeyError or TypeError for any other message.
    """
    return from_item(_parsed(body))


def event_in(body: str) -> dict[str, Any] | None:
    """Return Stripe's event from a message of EventBridge, or None for another message.

    Raises ValueError for a message that is not JSON. The message needs no signature: the queue's
    policy lets in only the stack's own rule, and that rule matches only Stripe's events.
    """
    message = _parsed(body)
    if not isinstance(message, dict) or not str(
        message.get("source")
    ).startswith(STRIPES_SOURCE):
        return None
    detail = message.get("detail")
    return detail if isinstance(detail, dict) else {}


def _parsed(body: str) -> Any:
    """Return the JSON value in a message.

    Raises ValueError if the message is not JSON or is nested too deeply.
    """
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("the message is nested too deeply") from error
