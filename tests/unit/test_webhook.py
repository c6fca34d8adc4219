import json
import time
from dataclasses import replace
from typing import Any

import pytest
import recover
import webhook
from billing.books import Books
from billing.errors import NotDoneError, OutcomeUnknownError
from billing.facts import Fact, to_item
from billing.spending import debits
from billing.storage.writes import Write
from stripe import WebhookSignature
from support import builders
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore

SECRET = "whsec_made_up_for_this_test"


class Failing(MemoryStore):
    """A store whose transactions may end unknown."""

    is_failing = False
    trouble: type[Exception] = OutcomeUnknownError

    def commit(self, *writes: Write) -> None:
        """All, none, or an unknown outcome."""
        if self.is_failing:
            raise self.trouble("injected")
        super().commit(*writes)


class Kept:
    """An outbox that remembers, or is gone too."""

    def __init__(self) -> None:
        """Empty."""
        self.facts: list[Fact] = []
        self.is_failing = False

    def keep(self, fact: Fact) -> None:
        """Remember."""
        if self.is_failing:
            raise OutcomeUnknownError("injected")
        self.facts.append(fact)


@pytest.fixture
def outbox() -> Kept:
    """Works."""
    return Kept()


@pytest.fixture
def books(outbox: Kept, monkeypatch: pytest.MonkeyPatch) -> Books:
    """The handlers' own, instead of those that the environment names."""
    books = replace(builders.books_on(Failing()), outbox=outbox)
    monkeypatch.setattr(webhook, "receiving_books", lambda: books)
    monkeypatch.setattr(webhook, "webhook_secrets", lambda _fresh: (SECRET,))
    monkeypatch.setattr(recover, "books", lambda: books)
    return books


def _fail(books: Books, *, failing: bool) -> None:
    books.store.is_failing = failing  # type: ignore[attr-defined]


def _deliver(event: dict[str, Any]) -> tuple[int, str]:
    body = json.dumps(event)
    header = WebhookSignature.generate_signature_header(body, SECRET, int(time.time()))
    said = webhook.handler(
        {"version": "2.0", "headers": {"stripe-signature": header}, "body": body}, None
    )
    answer = json.loads(said["body"])
    return said["statusCode"], answer.get("status") if said["statusCode"] == 200 else answer["code"]


@pytest.mark.parametrize(
    ("trouble", "code"), [(OutcomeUnknownError, "outcome_unknown"), (NotDoneError, "busy")]
)
@pytest.mark.parametrize("queue", ["works", "is gone too"])
def test_a_delivery_whose_outcome_is_unknown_is_asked_for_again(
    books: Books, outbox: Kept, queue: str, trouble: type[Exception], code: str
) -> None:
    """5xx, never 200; and it is kept where recovery finds it, should Stripe not come again.

    One that was not done is as well.
    """
    event = builders.completed(pending(books))
    outbox.is_failing = queue == "is gone too"
    books.store.trouble = trouble  # type: ignore[attr-defined]
    _fail(books, failing=True)
    assert _deliver(event) == (503, "outcome_unknown" if outbox.is_failing else code)
    assert outbox.facts == ([] if outbox.is_failing else [fact(event)])
    _fail(books, failing=False)
    assert _deliver(event) == (200, "settled")
    assert debits.read(books, "alice").remaining == 100


def test_a_message_stays_in_the_queue_until_its_event_is_settled(books: Books) -> None:
    """One by one: what cannot be read stays as well, and keeps no other from being settled."""
    facts = [fact(builders.completed(pending(books))) for _ in range(2)]
    records = [
        {"messageId": str(number), "body": json.dumps(to_item(found))}
        for number, found in enumerate(facts)
    ]
    unreadable = {"messageId": "odd", "body": "{"}
    _fail(books, failing=True)
    failed = recover.handler({"Records": records}, None)["batchItemFailures"]
    assert [failure["itemIdentifier"] for failure in failed] == ["0", "1"]
    _fail(books, failing=False)
    assert recover.handler({"Records": [unreadable, *records]}, None) == {
        "batchItemFailures": [{"itemIdentifier": "odd"}]
    }
    assert debits.read(books, "alice").remaining == 200
