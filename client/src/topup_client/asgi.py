"""An ASGI middleware: every call is paid for before the application sees it, or it never does.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

import inspect
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

from topup_client.errors import InvalidKey, KeyLimitReached, QuotaExhausted, TopupError
from topup_client.spender import AsyncSpender

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Caller(NamedTuple):
    """Who calls: a customer, and the id of the API key that the call came with."""

    user_id: str
    key_id: str | None = None


Found = Caller | str | None
"""A customer, with or without a key. None for an unknown caller."""
User = Callable[[Scope], Found | Awaitable[Found]]
RETRY_AFTER_SECONDS: Final = 1
POLICY_VIOLATION: Final = 1008
"""https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1"""


class QuotaMiddleware:
    """Debits before the application runs.

    Answers 401 without a user or for a revoked key, 402 without units or at a key's limit, 503 when
    it is not known: it fails closed.

    ``spender`` is an ``AsyncMeter`` or ``AsyncLeases``, closed when the application shuts down
    (ASGI's lifespan). ``user`` tells the user id of a scope, or a ``Caller`` with a key, at once or
    awaited, or None for an unknown caller. ``units`` is a number or tells it of a scope, as
    ``CallCosts`` do;
    0 lets a call pass unpaid. WebSockets are paid for when they are opened.
    """

    def __init__(
        self, app: App, spender: AsyncSpender, user: User, units: int | Callable[[Scope], int] = 1
    ) -> None:
        """Wrap ``app``. Raise TypeError for a spender that blocks."""
        if not inspect.iscoroutinefunction(spender.debit):
            raise TypeError(
                "the middleware awaits its spender: use AsyncMeter or AsyncLeases, "
                f"not {type(spender).__name__}"
            )
        self._app: Final = app
        self._spender: Final = spender
        self._user: Final = user
        self._units: Final = units

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, one connection, or the application's lifespan."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._closing(send))
        elif (
            scope["type"] not in ("http", "websocket")
            or (problem := await self._charge(scope)) is None
        ):
            await self._app(scope, receive, send)
        else:
            await _refuse(scope, send, problem)

    async def _charge(self, scope: Scope) -> dict[str, Any] | None:
        """Debit. Return the problem document if the call must not be served."""
        units = self._units(scope) if callable(self._units) else self._units
        if units == 0:
            return None
        found = self._user(scope)
        user = await found if inspect.isawaitable(found) else found
        if not user:
            return _problem(401, "unauthorized", "this API does not know who is calling")
        caller = Caller(user) if isinstance(user, str) else user
        key = {} if caller.key_id is None else {"key_id": caller.key_id}
        try:
            await self._spender.debit(caller.user_id, units, **key)
        except TopupError as error:
            return _refusal(error, units)
        return None

    def _closing(self, send: Send) -> Send:
        """Capture what was used after the application has shut down, before the server is told."""

        async def closing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await self._spender.aclose()
            await send(message)

        return closing


def header_user(name: str, users: Callable[[str], Found | Awaitable[Found]] | None = None) -> User:
    """Find the user by a header: by its value, or by what ``users`` returns for it.

    A header that is sent twice names no user.

    Without ``users``, only for a header that your gateway sets and no caller can.
    """
    wanted = name.lower().encode("latin-1")

    def user(scope: Scope) -> Found | Awaitable[Found]:
        values = [
            value.decode("latin-1")
            for header, value in scope["headers"]
            if header.lower() == wanted
        ]
        if len(values) != 1:
            return None
        return users(values[0]) if users else values[0]

    return user


def _refusal(error: TopupError, units: int) -> dict[str, Any]:
    """The problem document of a call that could not be paid for."""
    match error:
        case QuotaExhausted(remaining=remaining, top_up_url=url):
            detail = f"{units} units were asked for and {remaining} remain; buy more at top_up_url"
            more = {"remaining": remaining, "top_up_url": url}
            return _problem(402, "quota_exhausted", detail, **more)
        case KeyLimitReached(limit_remaining=remaining, resets_at=resets_at):
            detail = f"{units} units were asked for and {remaining} remain of this key's limit"
            when = resets_at and resets_at.isoformat().replace("+00:00", "Z")
            more = {"limit_remaining": remaining, "resets_at": when}
            return _problem(402, "key_limit_reached", detail, **more)
        case InvalidKey():
            return _problem(401, "unauthorized", "this API key was revoked, or never was one")
        case _:
            detail = "the quota cannot be debited now; try again in a moment"
            return _problem(503, "quota_unavailable", detail)


def _problem(status: int, code: str, detail: str, **members: object) -> dict[str, Any]:
    """https://www.rfc-editor.org/rfc/rfc9457."""
    title = code.replace("_", " ").capitalize()
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }


async def _refuse(scope: Scope, send: Send, problem: dict[str, Any]) -> None:
    """Send the refusal.

    A WebSocket gets a response where the server can send one; otherwise it is closed.
    """
    kind = scope["type"]
    if kind == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send(
                {"type": "websocket.close", "code": POLICY_VIOLATION, "reason": problem["code"]}
            )
            return
        kind = "websocket.http"
    body = json.dumps(problem, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if problem["status"] == 503:  # noqa: PLR2004 - Service Unavailable
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    await send({"type": f"{kind}.response.start", "status": problem["status"], "headers": headers})
    await send({"type": f"{kind}.response.body", "body": body})
