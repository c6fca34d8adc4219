"""Sends events to an EventBridge bus, without a signature."""

import json
from typing import Any, Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from billing.notices.delivery import Answer, Failed, Sent
from billing.notices.outbox import AT_ONCE
from billing.notices.rows import Row
from billing.storage import aws_faults

SOURCE: Final = "topup"
CLIENT: Final = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"total_max_attempts": 1, "mode": "standard"},
    max_pool_connections=AT_ONCE,
)
"""No retries here: the sweep retries later, with growing pauses."""


class EventBus:
    """Sends events to the seller to one EventBridge bus.

    Call it with the row of an event.
    """

    def __init__(self, bus: str) -> None:
        """``bus`` is the name of the EventBridge bus."""
        self._bus = bus
        self.client = botocore.session.get_session().create_client(
            "events", config=CLIENT
        )

    def __call__(self, row: Row) -> Answer:
        """Put one event on the bus, and return Sent or Failed.

        Raises no exception. EventBridge can answer 200 and still refuse the
        event. Only an accepted one has an EventId:
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html.
        Our events have about 1 KB. EventBridge allows 256 KB, and since 2026
        even 1 MB:
        https://aws.amazon.com/blogs/compute/more-room-to-build-serverless-services-now-support-payloads-up-to-1-mb
        """
        entry = {
            "Source": SOURCE,
            "DetailType": row.type,
            "Detail": json.dumps(row.body(), separators=(",", ":")),
            "EventBusName": self._bus,
        }
        try:
            answer: dict[str, Any] = self.client.put_events(Entries=[entry])
        except (BotoCoreError, ClientError) as error:
            return Failed(aws_faults.code_of(error))
        results = answer.get("Entries") or [{}]
        if results[0].get("EventId"):
            return Sent()
        return Failed(str(results[0].get("ErrorCode", "refused")))
