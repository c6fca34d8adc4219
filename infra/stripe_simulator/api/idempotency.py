"""Answers kept under idempotency keys: https://docs.stripe.com/api/idempotent_requests.

Results are kept for a day, 500s too; what fails validation, and conflicts, are not.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from infra.stripe_simulator.api.errors import StripeFault
from infra.stripe_simulator.objects.store import Drawers

KEPT_SECONDS: Final = 24 * 3600
KEY_CHARS_MAX: Final = 255
_LAYOUT: Final = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, asked TEXT, status INTEGER, content TEXT, request_id TEXT, made REAL)",
    "CREATE INDEX IF NOT EXISTS by_age ON answers (made)",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and to which request."""

    status: int
    content: dict[str, Any]
    request_id: str


class Answers:
    """The keys of one account."""

    def __init__(self, drawers: Drawers) -> None:
        """In the same file as the objects, so that an act and its answer are written together."""
        self._drawers, self._db = drawers, drawers.db
        for line in _LAYOUT:
            self._db.execute(line)
        self._in_progress: set[str] = set()

    def find(self, key: str, asked: str) -> Answer | None:
        """The kept answer. Raises 400 for another request under the same key."""
        row = self._db.execute(
            "SELECT asked, status, content, request_id FROM answers WHERE key = ?", (key,)
        ).fetchone()
        if row is None:
            return None
        if row[0] != asked:
            told = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            raise StripeFault(
                400,
                f"{told} Try using a key other than '{key}' if you meant to execute a different request.",
                kind="idempotency_error",
            )
        return Answer(row[1], json.loads(row[2]), row[3])

    def keep(self, key: str, asked: str, answer: Answer) -> None:
        """For a day."""
        row = (
            key,
            asked,
            answer.status,
            json.dumps(answer.content),
            answer.request_id,
            self._drawers.time(),
        )
        self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)

    @contextmanager
    def in_progress(self, key: str) -> Iterator[None]:
        """Raises 409 while another request is at work under the same key."""
        if key in self._in_progress:
            told = (
                f"There is currently another in-progress request using this Idempotent Key: {key}."
            )
            raise StripeFault(409, told, code="idempotency_key_in_use", kind="idempotency_error")
        self._in_progress.add(key)
        try:
            yield
        finally:
            self._in_progress.discard(key)

    def prune(self) -> None:
        """Forget those of yesterday."""
        self._db.execute(
            "DELETE FROM answers WHERE made <= ?", (self._drawers.time() - KEPT_SECONDS,)
        )


def checked(key: str) -> str:
    """Raises 400 for a key that is too long."""
    if len(key) > KEY_CHARS_MAX:
        told = f"Idempotency keys have at most {KEY_CHARS_MAX} characters; this one has {len(key)}."
        raise StripeFault(400, told, kind="idempotency_error")
    return key


def fingerprint(path: str, params: dict[str, Any]) -> str:
    """The same for the same request, in whichever order its parameters come."""
    return hashlib.sha256(f"{path}?{json.dumps(params, sort_keys=True)}".encode()).hexdigest()
