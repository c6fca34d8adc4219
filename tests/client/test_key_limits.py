"""A customer's API keys: who spends is named to the service, and a key's limit is an error apart.

The service's own refusals are put on the wire here; ``test_key_limits_served.py`` meets them.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from client.conftest import Seconds
from client.gateway import Fault, Gateway, answers
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from support.builders import Clock
from topup_client import (
    AsyncLeases,
    AsyncMeter,
    Caller,
    InvalidKey,
    KeyLimitReached,
    Lease,
    Leases,
    Meter,
    OutcomeUnknown,
    QuotaMiddleware,
    Refused,
    TopupError,
    metered,
)
from topup_client.keeper import Keeper

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def _limit(remaining: int = 0, resets_at: str | None = "2026-01-02T00:00:00Z") -> Fault:
    """The service's refusal at a key's limit."""
    body = {
        "code": "key_limit_reached",
        "detail": "the limit of this key is reached",
        "limit_remaining": remaining,
        "resets_at": resets_at,
    }
    return answers(402, body)


INVALID = answers(400, {"code": "invalid_key", "detail": "no live key of this user"})


@pytest.mark.parametrize("resets_at", ["2026-01-02T00:00:00Z", None])
def test_a_reached_limit_says_what_remains_and_when_it_resets(
    gateway: Gateway, backend: Meter, resets_at: str | None
) -> None:
    """It is no exhausted quota: the customer need not buy, and a limit for good never resets."""
    gateway.faults = [_limit(3, resets_at)]
    with pytest.raises(KeyLimitReached) as told:
        backend.debit("alice", 5, key_id="key_1")
    assert told.value.limit_remaining == 3
    assert told.value.resets_at == (MIDNIGHT if resets_at else None)
    assert isinstance(told.value, TopupError)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"limit_remaining": 3},
        {"limit_remaining": "3", "resets_at": None},
        {"limit_remaining": 3, "resets_at": "soon"},
        {"limit_remaining": 3, "resets_at": 5},
    ],
)
def test_a_limit_without_its_figures_is_an_unknown_outcome(
    gateway: Gateway, backend: Meter, members: dict[str, Any]
) -> None:
    """Something between us and the service has answered."""
    gateway.faults = [answers(402, {"code": "key_limit_reached", **members})]
    with pytest.raises(OutcomeUnknown):
        backend.debit("alice", key_id="key_1")


def test_debits_and_holds_name_the_key(gateway: Gateway, backend: Meter, seconds: Seconds) -> None:
    """And nothing is named where there is no key."""
    gateway.fund("alice", 100)
    one, other = gateway.key("alice"), gateway.key("alice")
    backend.debit("alice", key_id=one)
    backend.debit("alice")
    with Leases(backend, clock=seconds) as leases:
        leases.debit("alice", key_id=one)
        leases.debit("alice", key_id=other)
        leases.debit("alice")
    assert [body.get("key_id") for body in gateway.bodies("/quota/debits")] == [one, None]
    holds = gateway.bodies("/quota/holds")
    assert [body.get("key_id") for body in holds] == [one, other, None]
    assert ["key_id" in body for body in holds] == [True, True, False]
    assert gateway.quota().used == 5


def test_a_lease_at_its_keys_limit_remembers_it_for_a_moment(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    """One call of the service a second, and served again when the limit has been lifted."""
    gateway.fund("alice", 100)
    gateway.faults = [_limit(3)]
    one = gateway.key("alice")
    with Lease(backend, "alice", one, keeper=Keeper(0, seconds), clock=seconds) as lease:
        for _ in range(20):
            with pytest.raises(KeyLimitReached) as told:
                lease.debit(5)
            assert (told.value.limit_remaining, told.value.resets_at) == (3, MIDNIGHT)
        assert gateway.service_calls == 1
        clock.advance(seconds=1)
        lease.debit(5)
    assert gateway.quota().used == 5


def test_units_that_a_lease_holds_count_as_left_of_the_limit(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    gateway.fund("alice", 100)
    terms: Any = {"size": 10, "ahead_seconds": None, "low_water": 0}
    one = gateway.key("alice")
    with Lease(backend, "alice", one, keeper=Keeper(0, seconds), clock=seconds, **terms) as lease:
        lease.debit(4)
        gateway.faults = [_limit(2)]
        for _ in range(2):
            with pytest.raises(KeyLimitReached) as told:
                lease.debit(20)
            assert told.value.limit_remaining == 8


def test_a_revoked_key_is_refused_as_such(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """Not as an outage that passes: by a meter and by a lease, also from memory."""
    gateway.faults = [INVALID, INVALID]
    with pytest.raises(InvalidKey) as told:
        backend.debit("alice", key_id="key_1")
    assert (told.value.status, told.value.code) == (400, "invalid_key")
    assert isinstance(told.value, Refused)
    with Leases(backend, clock=seconds) as leases:
        for _ in range(3):
            with pytest.raises(InvalidKey, match="no live key of this user"):
                leases.debit("alice", key_id="key_1")
    assert gateway.service_calls == 2


def test_a_holds_size_respects_what_is_left_of_the_limit(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """Where the service says it: other processes of the same key want their share, too."""
    gateway.fund("alice", 100_000)

    def with_limit(act: Callable[[], httpx.Response]) -> httpx.Response:
        answer = act()
        if answer.status_code != 201:
            return answer
        return httpx.Response(201, json={**answer.json(), "limit_remaining": 40})

    gateway.faults = [with_limit] * 60
    one = gateway.key("alice")
    with Lease(backend, "alice", one, keeper=Keeper(0, seconds), clock=seconds) as lease:
        for _ in range(200):
            lease.debit()
    assert 10 < max(body["units"] for body in gateway.bodies("/quota/holds")) <= 20


def _by_key(
    gateway: Gateway, act: Callable[[], httpx.Response], refusals: Mapping[str, Fault]
) -> httpx.Response:
    """Refuse what is spent for some keys."""
    body = json.loads(gateway.requests[-1].read() or b"{}")
    fault = refusals.get(body.get("key_id", ""))
    return fault(act) if fault else act()


@pytest.mark.parametrize("spends_by", ["meter", "leases"])
def test_the_middleware_answers_a_limit_with_402_and_a_revoked_key_with_401(
    gateway: Gateway, async_backend: AsyncMeter, spends_by: str
) -> None:
    """It names the key to the service where ``user`` tells it."""
    gateway.fund("alice", 10)
    served: list[str] = []
    keys = {path: gateway.key("alice") for path in ("/good", "/limited", "/revoked")}
    refusals = {keys["/limited"]: _limit(), keys["/revoked"]: INVALID}
    gateway.faults = [lambda act: _by_key(gateway, act, refusals)] * 10
    spender: Any = async_backend if spends_by == "meter" else AsyncLeases(async_backend)

    async def hello(request: Request) -> PlainTextResponse:
        served.append(request.url.path)
        return PlainTextResponse("hello")

    def user(scope: Any) -> Caller:
        return Caller("alice", keys[scope["path"]])

    app = Starlette(
        routes=[Route("/{path:path}", hello)],
        middleware=[Middleware(QuotaMiddleware, spender, user)],
    )

    async def story() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://api") as http:
            found = [await http.get(path) for path in keys]
        await spender.aclose()
        return found

    good, limited, revoked = asyncio.run(story())
    assert (good.status_code, limited.status_code, revoked.status_code) == (200, 402, 401)
    problem = limited.json()
    assert (problem["code"], problem["limit_remaining"], problem["resets_at"]) == (
        "key_limit_reached",
        0,
        "2026-01-02T00:00:00Z",
    )
    assert "retry-after" not in limited.headers
    assert revoked.json()["code"] == "unauthorized"
    assert served == ["/good"]
    path = "/quota/debits" if spends_by == "meter" else "/quota/holds"
    named = [body["key_id"] for body in gateway.bodies(path)]
    assert named == list(keys.values())


def test_a_function_spends_for_a_key(gateway: Gateway, backend: Meter) -> None:
    gateway.fund("alice", 10)

    @metered(backend, user=lambda account, _: account, key_id=lambda _, key: key)
    def render(account: str, key: str | None) -> str:
        return f"{account} {key}"

    one = gateway.key("alice")
    assert (render("alice", one), render("alice", None)) == (f"alice {one}", "alice None")
    assert [body.get("key_id") for body in gateway.bodies("/quota/debits")] == [one, None]
