import asyncio

import pytest
from client.gateway import Gateway, lost_before
from topup_client import AsyncMeter, Leases, Meter, OutcomeUnknown, QuotaExhausted, metered


def test_a_function_runs_when_its_units_are_paid_for(gateway: Gateway, backend: Meter) -> None:
    """Or not at all; its name stays its own."""
    gateway.fund("alice", 5)
    ran: list[str] = []

    def cost(_: str, *, pages: int) -> int:
        return pages

    @metered(backend, user=lambda name, **_: name, units=cost)
    def render(name: str, *, pages: int) -> str:
        """Pages."""
        ran.append(name)
        return f"{pages} pages for {name}"

    assert render("alice", pages=3) == "3 pages for alice"
    with pytest.raises(QuotaExhausted):
        render("alice", pages=3)
    gateway.faults = [lost_before]
    with pytest.raises(OutcomeUnknown):
        render("alice", pages=1)
    assert (ran, render.__name__, gateway.quota().used) == (["alice"], "render", 3)


def test_an_async_function_awaits_its_debit(gateway: Gateway, async_backend: AsyncMeter) -> None:
    gateway.fund("alice", 1)

    @metered(async_backend, user="alice")
    async def answer() -> int:
        return 42

    assert asyncio.run(answer()) == 42
    with pytest.raises(QuotaExhausted):
        asyncio.run(answer())


def test_a_function_spends_from_leases(gateway: Gateway, backend: Meter) -> None:
    """One hold for a hundred runs."""
    gateway.fund("alice", 100)
    with Leases(backend, size=100, ahead_seconds=None, low_water=0) as leases:

        @metered(leases, user="alice")
        def answer() -> int:
            return 42

        assert sum(answer() for _ in range(100)) == 4200
    assert (gateway.quota().used, gateway.calls["holds"]) == (100, 1)


def test_a_blocking_function_with_an_async_spender_is_refused_when_decorated(
    backend: Meter, async_backend: AsyncMeter
) -> None:
    """When the module is loaded, not at the first customer."""

    async def awaits() -> None:
        """Awaits."""

    with pytest.raises(TypeError, match="use AsyncMeter or AsyncLeases, not Meter"):
        metered(backend, user="alice")(awaits)
    with pytest.raises(TypeError, match="use Meter or Leases, not AsyncMeter"):
        metered(async_backend, user="alice")(lambda: None)
