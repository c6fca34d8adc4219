"""What an answer of the service means: a typed result, or the error that it stands for.

Problem documents: https://www.rfc-editor.org/rfc/rfc9457. Refusals that API Gateway makes by itself
have ``{"message"}``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import httpx

from topup_client.errors import (
    HoldClosed,
    InvalidKey,
    KeyLimitReached,
    OutcomeUnknown,
    QuotaExhausted,
    Refused,
    TopupError,
    Unavailable,
)
from topup_client.results import ClosedHold, Debit, Hold

HTTP_TOO_MANY: Final = 429
HTTP_SERVER_ERRORS: Final = 500
NOT_DONE: Final = "busy"
"""The service's code for what it had no time for: it knows that it did nothing."""
REFUSALS: Final = {"hold_closed": HoldClosed, "invalid_key": InvalidKey}


def error_of(response: httpx.Response) -> TopupError:
    """The error that an answer other than success stands for."""
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
    if code == "key_limit_reached":
        return _limit_reached(problem)
    if status == HTTP_TOO_MANY:
        return Unavailable("429: the service is too busy; nothing was taken")
    return REFUSALS.get(code, Refused)(status, code, detail)


def _exhausted(problem: Mapping[str, Any]) -> TopupError:
    remaining, url = problem.get("remaining"), problem.get("top_up_url")
    if type(remaining) is not int or not isinstance(url, str):
        return OutcomeUnknown(
            "402 without `remaining` and `top_up_url`: not the answer of the service"
        )
    return QuotaExhausted(remaining, url)


def _limit_reached(problem: Mapping[str, Any]) -> TopupError:
    try:
        resets_at = problem["resets_at"]
        at = None if resets_at is None else datetime.fromisoformat(resets_at)
        return KeyLimitReached(_whole(problem["limit_remaining"]), at)
    except (KeyError, TypeError, ValueError):
        return OutcomeUnknown(
            "402 without `limit_remaining` and `resets_at`: not the answer of the service"
        )


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def debit(body: Mapping[str, Any]) -> Debit:
    """Read the answer of POST /quota/debits."""
    return Debit(
        str(body["debit_id"]),
        _whole(body["units"]),
        _whole(body["remaining"]),
        body.get("idempotent_replayed") is True,
    )


def hold(body: Mapping[str, Any]) -> Hold:
    """Read the answer of POST /quota/holds."""
    expires_at = datetime.fromisoformat(body["expires_at"])
    limit = body.get("limit_remaining")
    return Hold(
        str(body["hold_id"]),
        _whole(body["units"]),
        _whole(body["remaining"]),
        expires_at,
        None if limit is None else _whole(limit),
    )


def closed(body: Mapping[str, Any]) -> ClosedHold:
    """Read the answer of a capture or a release."""
    status = body["status"]
    if status not in ("captured", "released"):
        raise ValueError(f"status is {status!r}, not captured or released")
    return ClosedHold(str(body["hold_id"]), status, _whole(body["units"]), _whole(body["released"]))


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value
