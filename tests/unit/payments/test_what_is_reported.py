"""What the log says of a parked event, and which errors the queue takes for AWS's."""

import json
import logging
import time
from dataclasses import replace
from typing import Any

import pytest
import webhook
from billing.payments.fact_queue import Queue
from stripe import WebhookSignature
from support import builders
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore

SECRET = "whsec_made_up_for_this_test"


def test_the_log_says_why_an_event_was_parked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator reads it beside the event's id."""
    books = builders.books_on(MemoryStore())
    monkeypatch.setattr(webhook, "receiving_books", lambda: books)
    monkeypatch.setattr(webhook, "webhook_secrets", lambda _fresh: (SECRET,))
    body = json.dumps(builders.refunded(pending(books), 500))
    signature = WebhookSignature.generate_signature_header(body, SECRET, int(time.time()))
    with caplog.at_level(logging.INFO):
        answer = webhook.handler(
            {"version": "2.0", "headers": {"stripe-signature": signature}, "body": body}, None
        )
    assert json.loads(answer["body"]) == {"status": "parked"}
    lines = [vars(record) for record in caplog.records]
    assert [line["why"] for line in lines if line.get("outcome") == "parked"] == [
        "a refund came before the payment it takes back"
    ]


def test_an_internal_error_in_keeping_an_event_is_not_taken_for_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such an event can never be sent: the alarm on internal errors fires."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    books = builders.books_on(MemoryStore())
    unsendable: Any = object()
    event = replace(fact(builders.completed(pending(books))), created=unsendable)
    with pytest.raises(TypeError, match="not JSON serializable"):
        Queue("https://sqs.us-east-1.amazonaws.com/123456789012/parked").keep(event)
