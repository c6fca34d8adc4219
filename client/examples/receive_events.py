"""A receiver of Topup's events, as a bare ASGI application.

Try it on the local stack (`make up` in the repository's root; `notify_secret` is in
.local/stand.json):

pip install ./client uvicorn
TOPUP_EVENT_SECRETS=whsec_... uvicorn --app-dir client/examples receive_events:app --port 9000
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

from topup_client import EventRefused, verify_event

SECRETS = os.environ["TOPUP_EVENT_SECRETS"].split()
BODY_BYTES_MAX = 256 * 1024
handled: set[str] = set()
"""Stands for a table of your own, written in the transaction that does what an event causes."""
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def handle(event: dict[str, Any]) -> None:
    """Do what the event means for you, once: the same id may be delivered again."""
    if event["id"] in handled:
        return
    handled.add(event["id"])
    if event["type"] == "quota.low":
        # in place of your own mail
        print(f"{event['user_id']} has {event['data']['remaining']} units left")  # noqa: T201


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer 204 for an event, 401 for anything else. Be quick: a try waits for 5 seconds."""
    if scope["type"] != "http":
        return
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    status = 204
    try:
        handle(verify_event(await _body(receive), headers, SECRETS))
    except EventRefused:
        status = 401
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more and len(body) <= BODY_BYTES_MAX:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body
