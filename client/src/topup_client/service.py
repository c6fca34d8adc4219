"""Where the service is, and how it is asked: what both meters share. No I/O."""

import random
from collections.abc import Callable
from typing import Final, TypeVar

import httpx

from topup_client import wire
from topup_client.errors import TopupError, Unavailable

Token = str | Callable[[], str]
T = TypeVar("T")
TIMEOUT_SECONDS: Final = 10.0
"""Longer than the service's own deadline of 8 s, so that it is the service that gives up first, and
says what became of the units."""
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.2


class Service:
    """The service as both meters know it: its address, a token, and when to try again."""

    def __init__(self, base_url: str, token: Token, timeout_seconds: float, tries: int) -> None:
        """Raise ValueError for an address without a scheme, or for no tries."""
        if not base_url.startswith(("https://", "http://")):
            raise ValueError(
                "base_url must be the service's address, such as the stack's output ApiUrl, "
                f"not {base_url!r}"
            )
        if tries < 1:
            raise ValueError(f"tries must be 1 or more, not {tries}")
        plain = base_url.rstrip("/")
        self.base_url: Final = plain if plain.endswith(wire.API) else plain + wire.API
        self.token: Final = token
        self.timeout_seconds: Final = timeout_seconds
        self.tries: Final = tries

    def request(self, call: wire.Call[T]) -> httpx.Request:
        """The request, with a token asked for just now."""
        headers = {**call.headers, "Authorization": f"Bearer {self._token()}"}
        return httpx.Request(
            "POST",
            self.base_url + call.path,
            json=call.body,
            headers=headers,
            extensions=self._timeouts(),
        )

    def gives_up(self, call: wire.Call[T], error: TopupError, attempt: int) -> bool:
        """Whether this error is the caller's to hear. ``attempt`` counts from 0."""
        return attempt + 1 >= self.tries or not call.may_repeat(error)

    def _token(self) -> str:
        if isinstance(self.token, str):
            return self.token
        try:
            return self.token()
        except (
            Exception
        ) as error:  # the caller's function may raise anything; whatever it is, nothing was sent
            raise Unavailable(
                "the token callable failed, so that the service was not asked; nothing was taken"
            ) from error

    def _timeouts(self) -> dict[str, dict[str, float | None]]:
        return {"timeout": httpx.Timeout(self.timeout_seconds).as_dict()}


def pause_seconds(attempt: int) -> float:
    """Return a pause that grows with each attempt, with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    return random.uniform(0, PAUSE_SECONDS * 2**attempt)  # noqa: S311 - jitter, not a secret
