"""Asks Stripe for webhook endpoints, undelivered events, the key's permissions and the time."""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final

import httpx
from billing.stripe_api.connection import API_VERSION

SECONDS_MAX: Final = 10
PAGES_MAX: Final = 10
PAGE: Final = 100
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


class KeyRefusedError(Exception):
    """Raised if Stripe does not know our secret key, or if the key lacks a permission."""

    def __init__(self, status: int, message: str) -> None:
        """``status`` is 401 for an unknown key, 403 for a key without the permission."""
        super().__init__(message)
        self.is_unknown = status == _UNAUTHORIZED


@dataclass(slots=True)
class AccountAtStripe:
    """A read-only client of the Stripe account.

    ``read_key`` returns the secret key at each call.
    """

    read_key: Callable[[], str]
    api_base: str
    now: Callable[[], float] = time.time
    _skew_seconds: float | None = field(default=None)

    def skew_seconds(self) -> float:
        """Return by how many seconds this machine's clock is ahead of Stripe's clock."""
        if self._skew_seconds is None:
            self._get("/v1/webhook_endpoints", {"limit": "1"})
        return self._skew_seconds or 0.0

    def endpoints(self) -> list[Mapping[str, Any]]:
        """Return every webhook endpoint of the account.

        https://docs.stripe.com/api/webhook_endpoints/list
        """
        return list(self._all("/v1/webhook_endpoints", {}))

    def stripes_time(self) -> int:
        """Return the time of Stripe's clock, in Unix seconds."""
        return int(self.now() - self.skew_seconds())

    def undelivered(
        self, since: int, types: tuple[str, ...], until: int = 0
    ) -> list[Mapping[str, Any]]:
        """Return events that at least one endpoint has not accepted, newest first.

        There are at most a thousand, of the given types, between ``since`` and ``until`` (in Unix
        seconds; ``until`` 0 is now). https://docs.stripe.com/webhooks/process-undelivered-events
        """
        asked = {"delivery_success": "false", "created[gte]": str(since)}
        if until:
            asked["created[lte]"] = str(until)
        asked |= {f"types[{number}]": kind for number, kind in enumerate(types)}
        return list(self._all("/v1/events", asked))

    def can_list(self, name: str) -> None:
        """Raise KeyRefusedError if the key may not list these objects, for example ``refunds``."""
        self._get(f"/v1/{name}", {"limit": "1"})

    def can_create_sessions(self) -> None:
        """Raise KeyRefusedError if the key may not create Checkout Sessions.

        It asks for a session of an unknown mode. A key with the permission gets a 400, and no
        session is created.
        https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-mode
        """
        self._try("checkout/sessions", {"mode": "topup_doctor"})

    def can_write(self, name: str) -> None:
        """Raise KeyRefusedError if the key may not write these objects, for example ``customers``.

        It sends a parameter that Stripe does not know, or names an object that is not there. A key
        with the permission gets a 400 or a 404, and nothing is written.
        https://docs.stripe.com/error-codes (``parameter_unknown``, ``resource_missing``)
        """
        self._try(name, {"topup_doctor": "true"})

    def _try(self, name: str, asked: Mapping[str, str]) -> None:
        """Send a request that is invalid on purpose, so that Stripe does nothing.

        Raises KeyRefusedError if Stripe refuses the secret key rather than the request. ``name`` is
        the path below /v1/.
        """
        url = f"{self.api_base}/v1/{name}"
        answer = httpx.post(
            url,
            data=dict(asked),
            headers=self._headers(),
            timeout=SECONDS_MAX,
            verify=_authorities(),
        )
        _check_rights(answer)
        if answer.status_code not in (_BAD_REQUEST, _NOT_FOUND):
            answer.raise_for_status()

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.read_key()}", "stripe-version": API_VERSION}

    def _all(self, path: str, asked: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        after: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            page = self._get(path, {**asked, **after, "limit": str(PAGE)})
            yield from page["data"]
            if not page["has_more"]:
                return
            after = {"starting_after": page["data"][-1]["id"]}

    def _get(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.api_base}{path}",
            params=dict(asked),
            headers=self._headers(),
            timeout=SECONDS_MAX,
            verify=_authorities(),
        )
        if date := answer.headers.get("date"):
            self._skew_seconds = self.now() - parsedate_to_datetime(date).timestamp()
        _check_rights(answer)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _check_rights(answer: httpx.Response) -> None:
    if answer.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        message = answer.json().get("error", {}).get("message", "")
        raise KeyRefusedError(answer.status_code, str(message))


@cache
def _authorities() -> ssl.SSLContext:
    """Return the trusted authorities, read once.

    httpx would read them for every request, and that takes longer than Stripe's answer.
    """
    return httpx.create_ssl_context()
