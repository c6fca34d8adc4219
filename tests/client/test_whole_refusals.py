"""Every message that a refused call or socket gets, whole."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from topup_client import (
    Caller,
    InvalidKey,
    KeyLimitReached,
    LeaseClosed,
    OutcomeUnknown,
    QuotaExhausted,
    QuotaMiddleware,
    Refused,
    TopupError,
    Unavailable,
)

SHOP: Final = "https://shop.example.com"
NOON: Final = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
LATER: Final = "the quota cannot be debited now; try again in a moment"


class Spender:
    """Raises what it is told to, and remembers what was asked of it."""

    def __init__(self, error: BaseException | None = None) -> None:
        """None: every debit succeeds."""
        self.error = error
        self.asked: list[tuple[str, int, dict[str, Any]]] = []

    async def debit(self, user_id: str, units: int = 1, **key: Any) -> None:
        """See AsyncSpender."""
        self.asked.append((user_id, units, key))
        if self.error:
            raise self.error

    async def aclose(self) -> None:
        """Nothing is open."""


def _messages(spender: Spender, user: Any = "alice", **members: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] in ("http", "websocket")
        assert await receive() == {"type": "of the server"}
        await send({"type": "served"})

    async def receive() -> dict[str, Any]:
        return {"type": "of the server"}

    async def send(message: Any) -> None:
        sent.append(message)

    guarded = QuotaMiddleware(app, spender, lambda _: user, units=3)
    asyncio.run(guarded({"type": "http", "headers": [], **members}, receive, send))
    return sent


def _answer(kind: str, problem: dict[str, Any]) -> list[dict[str, Any]]:
    body = json.dumps(problem, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if problem["status"] == 503:
        headers.append((b"retry-after", b"1"))
    return [
        {"type": f"{kind}.response.start", "status": problem["status"], "headers": headers},
        {"type": f"{kind}.response.body", "body": body},
    ]


def _problem(status: int, title: str, detail: str, **members: object) -> dict[str, Any]:
    code = title.lower().replace(" ", "_")
    about = {"type": "about:blank", "title": title, "status": status, "code": code}
    return {**about, "detail": detail, **members}


REFUSALS: Final[list[tuple[TopupError, dict[str, Any]]]] = [
    (
        QuotaExhausted(2, SHOP),
        _problem(
            402,
            "Quota exhausted",
            "3 units were asked for and 2 remain; buy more at top_up_url",
            remaining=2,
            top_up_url=SHOP,
        ),
    ),
    (
        KeyLimitReached(1, NOON),
        _problem(
            402,
            "Key limit reached",
            "3 units were asked for and 1 remain of this key's limit",
            limit_remaining=1,
            resets_at="2026-01-02T12:00:00Z",
        ),
    ),
    (
        KeyLimitReached(0, None),
        _problem(
            402,
            "Key limit reached",
            "3 units were asked for and 0 remain of this key's limit",
            limit_remaining=0,
            resets_at=None,
        ),
    ),
    (
        InvalidKey(400, "invalid_key", "no"),
        _problem(401, "Unauthorized", "this API key was revoked, or never was one"),
    ),
    (Unavailable("busy"), _problem(503, "Quota unavailable", LATER)),
    (OutcomeUnknown("lost"), _problem(503, "Quota unavailable", LATER)),
    (Refused(403, "forbidden", "no scope"), _problem(503, "Quota unavailable", LATER)),
    (LeaseClosed("closed"), _problem(503, "Quota unavailable", LATER)),
]


@pytest.mark.parametrize(("error", "problem"), REFUSALS)
def test_a_refused_call_gets_one_whole_problem_document(
    error: TopupError, problem: dict[str, Any]
) -> None:
    """Only where a repeat may succeed it says when."""
    spender = Spender(error)
    assert _messages(spender) == _answer("http", problem)
    assert spender.asked == [("alice", 3, {})]


@pytest.mark.parametrize(("error", "problem"), REFUSALS)
def test_a_refused_socket_is_answered_or_closed(error: TopupError, problem: dict[str, Any]) -> None:
    """As the server can: https://asgi.readthedocs.io/en/latest/extensions.html."""
    asked = {"type": "websocket", "extensions": {"websocket.http.response": {}}}
    assert _messages(Spender(error), **asked) == _answer("websocket.http", problem)
    closed = [{"type": "websocket.close", "code": 1008, "reason": problem["code"]}]
    assert _messages(Spender(error), type="websocket") == closed
    assert _messages(Spender(error), type="websocket", extensions={"other": {}}) == closed


@pytest.mark.parametrize("user", [None, ""])
def test_a_call_of_an_unknown_caller_is_refused_whole_and_costs_nothing(user: str | None) -> None:
    spender = Spender()
    detail = "this API does not know who is calling"
    assert _messages(spender, user) == _answer("http", _problem(401, "Unauthorized", detail))
    assert spender.asked == []


@pytest.mark.parametrize(
    ("user", "asked"),
    [
        ("alice", ("alice", 3, {})),
        (Caller("alice"), ("alice", 3, {})),
        (Caller("alice", "key_1"), ("alice", 3, {"key_id": "key_1"})),
    ],
)
def test_a_paid_call_reaches_the_application_as_it_is(user: Any, asked: object) -> None:
    """The server's own messages, both ways."""
    for kind in ("http", "websocket"):
        spender = Spender()
        assert _messages(spender, user, type=kind) == [{"type": "served"}]
        assert spender.asked == [asked]


def test_a_fault_of_the_spender_comes_out() -> None:
    """The server answers it, and the application is not reached."""
    with pytest.raises(RuntimeError, match="a fault"):
        _messages(Spender(RuntimeError("a fault")))
