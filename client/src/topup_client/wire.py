"""The service's calls as data, and what an answer means. No I/O: the two meters share it.

Problem documents: https://www.rfc-editor.org/rfc/rfc9457. Refusals that API Gateway makes by itself
have ``{"message"}``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx

from topup_client.errors import (
    HoldClosed,
    OutcomeUnknown,
    QuotaExhausted,
    Refused,
    TopupError,
    Unavailable,
)
from topup_client.results import ClosedHold, Debit, Hold

API: Final = "/api/v1"
HTTP_TOO_MANY: Final = 429
HTTP_SERVER_ERRORS: Final = 500
NOT_DONE: Final = "busy"
"""The service's code for what it had no time for: it knows that it did nothing."""
KEY: Final = re.compile(r"[!-~]([ -~]{0,253}[!-~])?")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One POST.

    ``repeatable``: the service answers a repeat with the first result, so that a lost answer may be
    asked for again.
    """

    path: str
    parse: Callable[[Mapping[str, Any]], T]
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = False

    def may_repeat(self, error: TopupError) -> bool:
        """Whether to retry: if nothing was done, or if a repeat has no second effect."""
        return isinstance(error, Unavailable) or (
            self.repeatable and isinstance(error, OutcomeUnknown)
        )

    def read(self, response: httpx.Response) -> T:
        """The typed result. Raise the error that the answer stands for."""
        if not response.is_success:
            raise _error(response)
        try:
            return self.parse(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise OutcomeUnknown(
                f"{response.status_code} from {response.url}, but not the answer of the service"
            ) from error


def debit(user_id: str, units: int, idempotency_key: str | None) -> Call[Debit]:
    """POST /quota/debits.

    Raise ValueError for a key that the service would not take for one: without it a repeat would
    take twice.
    """
    if idempotency_key is not None and not KEY.fullmatch(idempotency_key):
        raise ValueError(
            "idempotency_key must be 1 to 255 printable ASCII characters without spaces at its "
            f"ends, not {idempotency_key!r}"
        )
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return Call(
        "/quota/debits",
        _debit,
        {"user_id": user_id, "units": units},
        headers,
        repeatable=idempotency_key is not None,
    )


def hold(user_id: str, units: int, expires_in_seconds: int) -> Call[Hold]:
    """POST /quota/holds: not repeatable, for a repeat would set aside twice."""
    return Call(
        "/quota/holds",
        _hold,
        {"user_id": user_id, "units": units, "expires_in_seconds": expires_in_seconds},
    )


def capture(hold_id: str, units: int) -> Call[ClosedHold]:
    """POST /quota/holds/{hold_id}/capture."""
    return Call(
        f"/quota/holds/{quote(hold_id, safe='')}/capture",
        _closed,
        {"units": units},
        repeatable=True,
    )


def release(hold_id: str) -> Call[ClosedHold]:
    """POST /quota/holds/{hold_id}/release."""
    return Call(f"/quota/holds/{quote(hold_id, safe='')}/release", _closed, repeatable=True)


def failed(error: httpx.RequestError) -> TopupError:
    """Return the error for a missing answer.

    Without a connection nothing was taken. Otherwise the outcome is unknown.
    """
    if isinstance(
        error,
        (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol),
    ):
        return Unavailable(
            f"the service was not reached ({type(error).__name__}: {error}); nothing was taken"
        )
    return OutcomeUnknown(
        f"no answer came ({type(error).__name__}: {error}); the units may have been taken or not"
    )


def _error(response: httpx.Response) -> TopupError:
    status, problem = response.status_code, _problem(response)
    code, detail = (
        str(problem.get("code", "")),
        str(problem.get("detail") or problem.get("message") or "no reason given"),
    )
    if status >= HTTP_SERVER_ERRORS and code == NOT_DONE:
        return Unavailable(f"{status} {code}: {detail}")
    if status >= HTTP_SERVER_ERRORS:
        return OutcomeUnknown(f"{status} {code or 'without a code'}: {detail}")
    if code == "quota_exhausted":
        return _exhausted(problem)
    if status == HTTP_TOO_MANY:
        return Unavailable("429: the service is too busy; nothing was taken")
    return (HoldClosed if code == "hold_closed" else Refused)(status, code, detail)


def _exhausted(problem: Mapping[str, Any]) -> TopupError:
    remaining, url = problem.get("remaining"), problem.get("top_up_url")
    if type(remaining) is not int or not isinstance(url, str):
        return OutcomeUnknown(
            "402 without `remaining` and `top_up_url`: not the answer of the service"
        )
    return QuotaExhausted(remaining, url)


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _debit(body: Mapping[str, Any]) -> Debit:
    return Debit(
        str(body["debit_id"]),
        _whole(body["units"]),
        _whole(body["remaining"]),
        body.get("idempotent_replayed") is True,
    )


def _hold(body: Mapping[str, Any]) -> Hold:
    expires_at = datetime.fromisoformat(body["expires_at"])
    return Hold(str(body["hold_id"]), _whole(body["units"]), _whole(body["remaining"]), expires_at)


def _closed(body: Mapping[str, Any]) -> ClosedHold:
    status = body["status"]
    if status not in ("captured", "released"):
        raise ValueError(f"status is {status!r}, not captured or released")
    return ClosedHold(str(body["hold_id"]), status, _whole(body["units"]), _whole(body["released"]))


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value
