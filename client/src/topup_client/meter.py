"""The service's debits and holds, one blocking HTTP call each.

Whatever raises a ``TopupError`` means: do not serve the call. A lost answer is asked for again only
where the service promises to replay it (a debit with an idempotency key, a capture, a release); a
plain debit or a hold whose answer is lost raises ``OutcomeUnknown``.
"""

import time
from typing import TypeVar

import httpx

from topup_client import forks, wire
from topup_client.closing import Closing
from topup_client.errors import TopupError
from topup_client.results import ClosedHold, Debit, Hold
from topup_client.service import TIMEOUT_SECONDS, TRIES, Service, Token, pause_seconds

T = TypeVar("T")


class Meter(Closing):
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
        self._service = Service(base_url, token, timeout_seconds, tries)
        self._transport = transport
        self._http = httpx.Client(transport=transport)
        forks.register(self)

    def debit(
        self,
        user_id: str,
        units: int = 1,
        idempotency_key: str | None = None,
        *,
        key_id: str | None = None,
    ) -> Debit:
        """Take ``units``, counted for the customer's API key ``key_id`` if there is one.

        With an idempotency key (1 to 255 printable ASCII characters) a repeat takes nothing more,
        also after a crash of yours.
        """
        return self._send(wire.debit(user_id, units, idempotency_key, key_id))

    def hold(
        self,
        user_id: str,
        units: int,
        expires_in_seconds: int,
        *,
        at_least: int | None = None,
        key_id: str | None = None,
    ) -> Hold:
        """Set ``units`` aside for 1 to 86 400 seconds; with ``at_least``, what remains of them."""
        return self._send(wire.hold(user_id, units, expires_in_seconds, at_least, key_id))

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

    def _send(self, call: wire.Call[T]) -> T:
        attempt = 0
        while True:
            try:
                return self._once(call)
            except TopupError as error:
                if self._service.gives_up(call, error, attempt):
                    raise
            time.sleep(
                pause_seconds(attempt)
            )  # a service in trouble is not helped by a repeat at once
            attempt += 1

    def _once(self, call: wire.Call[T]) -> T:
        request = self._service.request(call)
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            raise wire.failed(error) from error
        return call.read(response)
