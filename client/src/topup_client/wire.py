"""The service's calls as data. No I/O: the two meters share it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import httpx

from topup_client import answers
from topup_client.errors import OutcomeUnknown, TopupError, Unavailable
from topup_client.results import ClosedHold, Debit, Hold

API: Final = "/api/v1"
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
            raise answers.error_of(response)
        try:
            return self.parse(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise OutcomeUnknown(
                f"{response.status_code} from {response.url}, but not the answer of the service"
            ) from error


def debit(
    user_id: str, units: int, idempotency_key: str | None, key_id: str | None = None
) -> Call[Debit]:
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
        answers.debit,
        _present(user_id=user_id, units=units, key_id=key_id),
        headers,
        repeatable=idempotency_key is not None,
    )


def hold(
    user_id: str,
    units: int,
    expires_in_seconds: int,
    at_least: int | None = None,
    key_id: str | None = None,
) -> Call[Hold]:
    """POST /quota/holds: not repeatable, for a repeat would set aside twice."""
    body = _present(
        user_id=user_id,
        units=units,
        expires_in_seconds=expires_in_seconds,
        at_least=at_least,
        key_id=key_id,
    )
    return Call("/quota/holds", answers.hold, body)


def capture(hold_id: str, units: int) -> Call[ClosedHold]:
    """POST /quota/holds/{hold_id}/capture."""
    return Call(
        f"/quota/holds/{quote(hold_id, safe='')}/capture",
        answers.closed,
        {"units": units},
        repeatable=True,
    )


def release(hold_id: str) -> Call[ClosedHold]:
    """POST /quota/holds/{hold_id}/release."""
    return Call(f"/quota/holds/{quote(hold_id, safe='')}/release", answers.closed, repeatable=True)


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


def _present(**members: object) -> dict[str, object]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}
