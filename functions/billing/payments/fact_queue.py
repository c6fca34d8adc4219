"""The queue that keeps facts outside DynamoDB until they are settled: a second place, so that one service's trouble loses nothing.

It is also where Stripe's events arrive by Amazon EventBridge, where a stack has that switched on (the parameter StripeEventBus).
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
    connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1, "mode": "standard"}
)
"""Once: it comes last in a request, and what it does not take is answered 5xx."""
DELAY_SECONDS = 20
"""What a fact was ahead of has usually come by then."""
STRIPES_SOURCE: Final = "aws.partner/stripe.com/"
"""How an envelope's ``source`` begins, and nobody but Stripe can write one:
https://docs.stripe.com/event-destinations/eventbridge#event-structure"""


@cache
def _client() -> Any:
    return botocore.session.get_session().create_client("sqs", config=CLIENT)


class Queue:
    """The stack's queue of parked facts."""

    def __init__(self, url: str) -> None:
        """``url`` as SQS gives it."""
        self._url = url

    def keep(self, fact: Fact) -> None:
        """Return when SQS has the fact.

        Raises AwsRefusedError when SQS refuses for good, else OutcomeUnknownError.
        """
        try:
            _client().send_message(
                QueueUrl=self._url,
                MessageBody=json.dumps(to_item(fact)),
                DelaySeconds=DELAY_SECONDS,
            )
        except (BotoCoreError, ClientError) as error:
            message = (
                f"the queue of parked facts did not take the fact: {aws_faults.code_of(error)}"
            )
            if aws_faults.is_final(error):
                raise AwsRefusedError(message) from error
            raise OutcomeUnknownError(message) from error


def read_message(body: str) -> Fact:
    """The fact in a message that ``keep`` sent.

    Raises ValueError, KeyError or TypeError for any other.
    """
    return from_item(json.loads(body))


def event_in(body: str) -> dict[str, Any] | None:
    """The event in a message that EventBridge brought from Stripe; None for any other.

    Raises ValueError for what is no JSON.

    It carries no signature: the queue's policy lets in nobody but the stack's own rule, and the
    rule nobody but Stripe.
    """
    message = json.loads(body)
    if not isinstance(message, dict) or not str(message.get("source")).startswith(STRIPES_SOURCE):
        return None
    detail = message.get("detail")
    return detail if isinstance(detail, dict) else {}
