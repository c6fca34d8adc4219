"""Stripe as a checkout sees it: it creates sessions, and closes them."""

from collections.abc import Callable, Mapping
from typing import Any

MADE = {"url": "https://pay/1", "expires_at": 1767409445}


class Sessions:
    """Creates a session for each key, and remembers what it was asked for.

    An exception in ``next`` is raised instead, each once, in order; a function there is called
    first.
    """

    def __init__(self, *following: Exception | Callable[[], object] | None) -> None:
        """``following``: what becomes of the first requests."""
        self.next = list(following)
        self.params: list[Mapping[str, Any]] = []
        self.keys: list[str] = []
        self.closed: list[str] = []

    def create_session(self, params: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway. The session's id is the number of the request."""
        self.params.append(params)
        self.keys.append(idempotency_key)
        happens = self.next.pop(0) if self.next else None
        if isinstance(happens, Exception):
            raise happens
        number = len(self.keys)
        if happens is not None:
            happens()
        return {"id": f"cs_{number}", **MADE}

    def expire_session(self, session_id: str) -> None:
        """See the gateway."""
        self.closed.append(session_id)
