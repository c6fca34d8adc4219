"""The queue that keeps facts outside DynamoDB until they are settled: a second place, so that one service's trouble loses nothing."""

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from billing.errors import OutcomeUnknownError
from billing.facts import Fact, from_item, to_item

CLIENT = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})
DELAY_SECONDS = 20
"""What a fact was ahead of has usually come by then."""


@cache
def _client() -> Any:
    return botocore.session.get_session().create_client("sqs", config=CLIENT)


class Queue:
    """The stack's queue of parked facts."""

    def __init__(self, url: str) -> None:
        """``url`` as SQS gives it."""
        self._url = url

    def keep(self, fact: Fact) -> None:
        """Return when SQS has the fact. Raises OutcomeUnknownError otherwise."""
        try:
            _client().send_message(QueueUrl=self._url, MessageBody=json.dumps(to_item(fact)), DelaySeconds=DELAY_SECONDS)
        except (BotoCoreError, ClientError) as error:
            message = "the queue of parked facts did not take the fact"
            raise OutcomeUnknownError(message) from error


def read_message(body: str) -> Fact:
    """The fact in a message that ``keep`` sent."""
    return from_item(json.loads(body))
