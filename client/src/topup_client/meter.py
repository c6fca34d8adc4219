"""The service's debits and holds, one HTTP call each; ``Meter`` blocks, ``AsyncMeter`` is awaited.

Whatever raises a ``TopupError`` means: do not serve the call. A lost answer is asked for again only
where the service promises to replay it (a debit with a key, a capture, a release); a plain debit or
a hold whose answer is lost raises ``OutcomeUnknown``.
"""

import asyncio
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx

from topup_client import forks, wire
from topup_client.errors import TopupError, Unavailable
from topup_client.results import ClosedHold, Debit, Hold

Token = str | Callable[[], str]
T = TypeVar("T")
TIMEOUT_SECONDS: Final = 10.0
"""Longer than the service's own deadline of 8 s, so that it is the service that gives up first, and
says what became of the units."""
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.2


class _Settings:
    """What both meters know."""

    def __init__(self, base_url: str, token: Token, timeout_seconds: float, tries: int) -> None:
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


class Meter:
    """Blocking calls of the service.

    Safe to share between threads; a forked child gets connections of its own.

    ``base_url`` is the stack's output ``ApiUrl``; ``token`` a JWT with the scope ``quota.write``,
    or a callable that returns one and is called before each request, so that it may refresh.
    ``transport`` is httpx's, for proxies or tests.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Nothing is sent yet."""
        self._settings = _Settings(base_url, token, timeout_seconds, tries)
        self._transport = transport
        self._http = httpx.Client(transport=transport)
        forks.register(self)

    def debit(self, user_id: str, units: int = 1, idempotency_key: str | None = None) -> Debit:
        """Take ``units``.

        With a key (1 to 255 printable ASCII characters) a repeat takes nothing more, also after a
        crash of yours.
        """
        return self._send(wire.debit(user_id, units, idempotency_key))

    def hold(self, user_id: str, units: int, expires_in_seconds: int) -> Hold:
        """Set ``units`` aside for 1 to 86 400 seconds."""
        return self._send(wire.hold(user_id, units, expires_in_seconds))

    def capture(self, hold_id: str, units: int) -> ClosedHold:
        """Take 1 to all units of the hold for good, and give the rest back.

        Raise ``HoldClosed`` when it is past its time.
        """
        return self._send(wire.capture(hold_id, units))

    def release(self, hold_id: str) -> ClosedHold:
        """Give all of the hold back."""
        return self._send(wire.release(hold_id))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def after_fork(self) -> None:
        """The parent's connections stay the parent's."""
        self._http = httpx.Client(transport=self._transport)

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def _send(self, call: wire.Call[T]) -> T:
        attempt = 0
        while True:
            try:
                return self._once(call)
            except TopupError as error:
                if self._settings.gives_up(call, error, attempt):
                    raise
            time.sleep(
                _pause_seconds(attempt)
            )  # a service in trouble is not helped by a repeat at once
            attempt += 1

    def _once(self, call: wire.Call[T]) -> T:
        request = self._settings.request(call)
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise wire.failed(error) from error
        return call.read(response)


class AsyncMeter:
    """The same, awaited.

    Belongs to one event loop; the token callable is called in it and should return at once.
    """

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Nothing is sent yet."""
        self._settings = _Settings(base_url, token, timeout_seconds, tries)
        self._transport = transport
        self._http = httpx.AsyncClient(transport=transport)
        forks.register(self)

    async def debit(
        self, user_id: str, units: int = 1, idempotency_key: str | None = None
    ) -> Debit:
        """Take ``units``. See ``Meter.debit``."""
        return await self._send(wire.debit(user_id, units, idempotency_key))

    async def hold(self, user_id: str, units: int, expires_in_seconds: int) -> Hold:
        """Set ``units`` aside for 1 to 86 400 seconds."""
        return await self._send(wire.hold(user_id, units, expires_in_seconds))

    async def capture(self, hold_id: str, units: int) -> ClosedHold:
        """Take 1 to all units of the hold for good, and give the rest back.

        Raise ``HoldClosed`` when it is past its time.
        """
        return await self._send(wire.capture(hold_id, units))

    async def release(self, hold_id: str) -> ClosedHold:
        """Give all of the hold back."""
        return await self._send(wire.release(hold_id))

    def blocking(self) -> Meter:
        """Return a blocking meter for the same service, for use after the event loop has ended."""
        told = self._settings
        return Meter(
            told.base_url, told.token, timeout_seconds=told.timeout_seconds, tries=told.tries
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def after_fork(self) -> None:
        """The parent's connections stay the parent's."""
        self._http = httpx.AsyncClient(transport=self._transport)

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()

    async def _send(self, call: wire.Call[T]) -> T:
        attempt = 0
        while True:
            try:
                return await self._once(call)
            except TopupError as error:
                if self._settings.gives_up(call, error, attempt):
                    raise
            await asyncio.sleep(_pause_seconds(attempt))
            attempt += 1

    async def _once(self, call: wire.Call[T]) -> T:
        request = self._settings.request(call)
        try:
            response = await self._http.send(request)
        except httpx.RequestError as error:
            raise wire.failed(error) from error
        return call.read(response)


def _pause_seconds(attempt: int) -> float:
    """Growing, with full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/."""
    return random.uniform(0, PAUSE_SECONDS * 2**attempt)  # noqa: S311 - jitter, not a secret
