"""Keeps events in an SQS queue, outside DynamoDB, until they are settled.

A failure of either service then loses no event. Where the parameter StripeEventBus is set, the
queue also receives Stripe's events from Amazon EventBridge.
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
"""One attempt: it comes last in a request, and a failure is answered 5xx."""
DELAY_SECONDS = 20
"""By then, what an event was ahead of has usually come."""
STRIPES_SOURCE: Final = "aws.partner/stripe.com/"
"""How an envelope's ``source`` begins. Only Stripe can write one:
https://docs.stripe.com/event-destinations/eventbridge#event-structure"""


@cache
def _client() -> Any:
    return botocore.session.get_session().create_client("sqs", config=CLIENT)


class Queue:
    """The stack's SQS queue of parked events."""

    def __init__(self, url: str) -> None:
        """``url`` as SQS gives it."""
        self._url = url

    def keep(self, fact: Fact) -> None:
        """Send the event to the queue. It is safe there once this returns.

        Raises AwsRefusedError when SQS refuses for good, else OutcomeUnknownError.
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
    """Return the fact in a message that ``keep`` sent.

    Raises ValueError, KeyError or TypeError for any other message.
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
    """Return the JSON in a message.

    Raises ValueError for anything else, however deeply it is nested.
    """
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("the message is nested too deeply") from error
