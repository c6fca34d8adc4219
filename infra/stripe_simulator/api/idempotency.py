"""Stores answers under idempotency keys for a day.

An answer is stored once the endpoint has begun its work, even if it is a decline (402) or a server
error (500). Earlier refusals are not stored: a wrong secret key (401), a parameter that fails
validation (400), a concurrent request with the same idempotency key (409), too many requests (429).
https://docs.stripe.com/api/idempotent_requests
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from infra.stripe_simulator.errors import StripeFault
from infra.stripe_simulator.store import Store

KEPT_SECONDS: Final = 24 * 3600
KEY_CHARS_MAX: Final = 255
_SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, asked TEXT, status INTEGER,
    content TEXT, request_id TEXT, made REAL)""",
    "CREATE INDEX IF NOT EXISTS by_age ON answers (made)",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Holds the stored response to a request, and that request's id."""

    status: int
    content: dict[str, Any]
    request_id: str


class Answers:
    """Stores the API's answers by idempotency key, so that a repeated request gets the same one."""

    def __init__(self, store: Store) -> None:
        """Use the database of ``store`` for the answers, which are kept by idempotency key.

        The Stripe objects are there too, so a change and its answer are written in one transaction.
        """
        self._store, self._db = store, store.db
        for line in _SCHEMA:
            self._db.execute(line)
        self._in_progress: set[str] = set()

    def find(self, key: str, asked: str) -> Answer | None:
        """Return the answer that is stored under the idempotency key ``key``, or None.

        ``asked`` is the fingerprint of the request. Raises Stripe's 400 if the key was used for a
        request with another fingerprint.
        """
        asked_for = "SELECT asked, status, content, request_id FROM answers WHERE key = ?"
        row = self._db.execute(asked_for, (key,)).fetchone()
        if row is None:
            return None
        if row[0] != asked:
            message = (
                "Keys for idempotent requests can only be used with the same parameters they were"
                f" first used with. Try using a key other than '{key}' if you meant to execute a"
                " different request."
            )
            raise StripeFault(400, message, kind="idempotency_error")
        return Answer(row[1], json.loads(row[2]), row[3])

    def keep(self, key: str, asked: str, answer: Answer) -> None:
        """Store the answer under the idempotency key ``key``, in place of an earlier one.

        ``asked`` is the fingerprint of the request. ``prune`` deletes the answer after a day.
        """
        content = json.dumps(answer.content)
        row = (key, asked, answer.status, content, answer.request_id, self._store.time())
        self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)

    @contextmanager
    def in_progress(self, key: str) -> Iterator[None]:
        """Lock the idempotency key ``key`` during a request.

        Raises Stripe's 409 if a concurrent request has locked it.
        """
        if key in self._in_progress:
            message = (
                f"There is currently another in-progress request using this Idempotent Key: {key}."
            )
            raise StripeFault(409, message, code="idempotency_key_in_use", kind="idempotency_error")
        self._in_progress.add(key)
        try:
            yield
        finally:
            self._in_progress.discard(key)

    def prune(self) -> None:
        """Delete the stored HTTP responses that are older than a day."""
        oldest = self._store.time() - KEPT_SECONDS
        self._db.execute("DELETE FROM answers WHERE made <= ?", (oldest,))


def checked(key: str) -> str:
    """Return the idempotency key. Raises Stripe's 400 for one that is too long."""
    if len(key) > KEY_CHARS_MAX:
        length = len(key)
        message = (
            f"Idempotency keys have at most {KEY_CHARS_MAX} characters; this one has {length}."
        )
        raise StripeFault(400, message, kind="idempotency_error")
    return key


def fingerprint(path: str, params: dict[str, Any]) -> str:
    """Return a hash of the request that does not depend on the order of parameters."""
    request = f"{path}?{json.dumps(params, sort_keys=True)}"
    return hashlib.sha256(request.encode()).hexdigest()
