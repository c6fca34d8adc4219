"""Messages that ask for an automatic charge at once.

Each has only a user's id. If a message is lost, the next sweep finds the
charge.
"""

import json
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CLIENT = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 1, "mode": "standard"},
)
"""One short attempt: the caller waits for it, and the sweep comes within a minute."""


@cache
def _client() -> Any:
    return botocore.session.get_session().create_client("sqs", config=CLIENT)


def hurry(queue_url: str, user_id: str) -> bool:
    """Send a message that asks to run an account's automatic charge now.

    Returns False if it could not be sent. The job that runs each minute then
    finds the account.
    """
    body = json.dumps({"user_id": user_id})
    try:
        _client().send_message(QueueUrl=queue_url, MessageBody=body)
    except (BotoCoreError, ClientError):
        return False
    return True


def user_in(body: str) -> str:
    """Return the user id in an SQS message that asks to run a charge.

    ``body`` is the message's text. Raises ValueError, KeyError or TypeError
    for any other message.
    """
    return str(json.loads(body)["user_id"])
