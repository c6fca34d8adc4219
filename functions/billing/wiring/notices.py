"""Creates the Python functions that send events to the seller.

Only the Lambda function NotifyFunction imports this module: it also loads TLS
and an HTTP client, which the others do not need.
"""

import json
import ssl
import time
from dataclasses import replace
from functools import cache
from typing import Final

from billing.books import Books
from billing.deadline import Deadline
from billing.errors import AwsRefusedError, RetryableError, SettingsError
from billing.notices import address, http_post, signing
from billing.notices.address import AddressError
from billing.notices.delivery import Answer, Failed, Way
from billing.notices.event_bus import EventBus
from billing.notices.rows import Row
from billing.storage.dynamodb import Store
from billing.wiring import container
from billing.wiring.container import settings
from billing.wiring.secrets import read_secret

BATCH_SECONDS: Final = 20
"""The deadline of a batch of deliveries: its tries are parallel and take 5 s,
with writes before and after.
"""
USER_AGENT: Final = "Topup-Events/1"


@cache
def books() -> Books:
    """Return the clients and settings (Books) to send events to the seller.

    Their deadline is BATCH_SECONDS, which fits a batch of deliveries.
    """
    store = Store(settings().tables, Deadline(BATCH_SECONDS))
    return replace(container.books(), store=store)


@cache
def ways() -> dict[str, Way]:
    """Return the functions that send an event, by name, or {}.

    ``url`` sends to the seller's address and ``bus`` to an EventBridge
    bus, if the template's parameters set them.
    """
    found: dict[str, Way] = {}
    if url := settings().notify_url:
        found["url"] = _to_url(url)
    if bus := settings().notify_bus:
        found["bus"] = EventBus(bus)
    return found


def _to_url(url: str) -> Way:
    """Return the function that sends an event to the seller's address.

    Raises SettingsError unless ``url`` is an https URL with a domain name, and
    without credentials or fragment. On the local stack, http and every host
    are allowed too.
    """
    try:
        parsed = address.parse(url, is_local=settings().stage == "local")
    except AddressError as error:
        raise SettingsError(str(error)) from error
    context = ssl.create_default_context()

    def send(row: Row) -> Answer:
        try:
            secrets = signing.secrets_in(
                read_secret(settings().notify_secrets_secret)
            )
        except (ValueError, RetryableError, AwsRefusedError) as error:
            return Failed(f"the signing secret: {error}")
        body = json.dumps(row.body(), separators=(",", ":")).encode()
        signed = signing.headers(row.id, int(time.time()), body, secrets)
        kind = {"content-type": "application/json", "user-agent": USER_AGENT}
        return http_post.send(parsed, body, kind | signed, context)

    return send
