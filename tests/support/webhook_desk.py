"""The webhook at work: its answers, its log and its metrics."""

import json
import logging
import time
from dataclasses import replace
from typing import Any, Final

import pytest
import webhook
from billing import telemetry
from billing.books import Books
from billing.facts import Fact
from billing.storage.writes import Write
from stripe import WebhookSignature
from support import builders
from support.fakes.memory_store import MemoryStore

SECRET: Final = "whsec_made_up_for_this_test"


class Rough(MemoryStore):
    """``fails``: transactions end with this."""

    fails: Exception | None = None

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.fails:
            raise self.fails
        super().commit(*writes)


class Desk:
    """The webhook, with its log and its metrics."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing was delivered."""
        builders.renumber()
        self.store, self.caplog = Rough(), caplog
        self.kept: list[Fact] = []
        self.counted: dict[str, Any] = {}
        self.books: Books = replace(builders.books_on(self.store), outbox=self)
        monkeypatch.setattr(webhook, "receiving_books", lambda: self.books)
        monkeypatch.setattr(webhook, "webhook_secrets", lambda _fresh: (SECRET,))
        monkeypatch.setattr(telemetry.metrics, "add_metric", self._count)

    def keep(self, fact: Fact) -> None:
        """As the queue does."""
        self.kept.append(fact)

    def _count(self, *, name: str, unit: Any, value: int) -> None:
        self.counted[name] = (unit.value, value)

    def deliver(self, event: Any, secret: str = SECRET) -> tuple[int, dict[str, Any]]:
        """Return the status and the body."""
        body = json.dumps(event)
        header = WebhookSignature.generate_signature_header(body, secret, int(time.time()))
        headers = {"stripe-signature": header}
        request = {"headers": headers, "body": body, "requestContext": {"requestId": "r1"}}
        with self.caplog.at_level(logging.INFO):
            said = webhook.handler(request, None)
        return said["statusCode"], json.loads(said["body"])

    def line(self) -> dict[str, Any]:
        """What the last line has beside its standard members."""
        names = {
            "status", "request_id", "outcome", "reason", "event_id", "type", "units", "why",
            "payment_id", "session_id", "code",
        }  # fmt: skip
        found = vars(self.caplog.records[-1])
        return {name: found[name] for name in names & set(found)}
