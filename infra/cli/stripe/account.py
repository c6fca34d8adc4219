"""The Stripe account as an operator sees it: endpoints, undelivered events, the key's rights, Stripe's clock. Changes nothing."""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Final

import httpx
from billing.stripe_api.client import API_VERSION

SECONDS_MAX: Final = 10
PAGES_MAX: Final = 10
PAGE: Final = 100
_BAD_REQUEST: Final = 400
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


class KeyRefusedError(Exception):
    """Stripe does not know the key, or the key may not do this."""

    def __init__(self, status: int, message: str) -> None:
        """401 for an unknown key, 403 for a restricted one."""
        super().__init__(message)
        self.is_unknown = status == _UNAUTHORIZED


@dataclass(slots=True)
class AccountAtStripe:
    """``read_key`` is asked at each call, so that the doctor can speak of a missing key first."""

    read_key: Callable[[], str]
    api_base: str
    now: Callable[[], float] = time.time
    _skew_seconds: float | None = field(default=None)

    def skew_seconds(self) -> float:
        """How far this machine's clock is ahead of Stripe's, by the Date header of the last answer."""
        if self._skew_seconds is None:
            self._get("/v1/webhook_endpoints", {"limit": "1"})
        return self._skew_seconds or 0.0

    def endpoints(self) -> list[Mapping[str, Any]]:
        """Every webhook endpoint: https://docs.stripe.com/api/webhook_endpoints/list."""
        return list(self._all("/v1/webhook_endpoints", {}))

    def stripes_time(self) -> int:
        """What Stripe's clock shows, in Unix seconds."""
        return int(self.now() - self.skew_seconds())

    def undelivered(
        self, since: int, types: tuple[str, ...], until: int = 0
    ) -> list[Mapping[str, Any]]:
        """Events that some endpoint has not taken; at most a thousand, newest first.

        ``until`` 0 for up to now.

        https://docs.stripe.com/webhooks/process-undelivered-events
        """
        asked = {
            "delivery_success": "false",
            "created[gte]": str(since),
            **({"created[lte]": str(until)} if until else {}),
        }
        return list(
            self._all(
                "/v1/events",
                asked | {f"types[{number}]": kind for number, kind in enumerate(types)},
            )
        )

    def can_list(self, name: str) -> None:
        """Raise KeyRefusedError where the key may not list these objects, such as ``refunds``."""
        self._get(f"/v1/{name}", {"limit": "1"})

    def can_create_sessions(self) -> None:
        """Raise KeyRefusedError where the key may not create Checkout Sessions.

        It asks for a session of a mode that there is not. Whoever may create one is told so (400),
        and nothing is made:
        https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-mode.
        """
        url, asked = f"{self.api_base}/v1/checkout/sessions", {"mode": "topup_doctor"}
        answer = httpx.post(
            url, data=asked, headers=self._headers(), timeout=SECONDS_MAX, verify=_authorities()
        )
        _refuse(answer)
        if answer.status_code != _BAD_REQUEST:
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
        _refuse(answer)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _refuse(answer: httpx.Response) -> None:
    if answer.status_code in (_UNAUTHORIZED, _FORBIDDEN):
        raise KeyRefusedError(
            answer.status_code, str(answer.json().get("error", {}).get("message", ""))
        )


@cache
def _authorities() -> ssl.SSLContext:
    """Whom a certificate is believed from.

    To read them takes longer than an answer of Stripe's, and httpx would for every request.
    """
    return httpx.create_ssl_context()
