"""When the awaited leases of customers without units are let go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from topup_client import AsyncLeases, AsyncMeter, QuotaExhausted, aio_leases

SWEPT_FROM: Final = 4
Story = Callable[[AsyncLeases], Awaitable[None]]


async def _refuse(many: AsyncLeases, *users: str) -> None:
    for user in users:
        with pytest.raises(QuotaExhausted):
            await many.debit(user)


async def _asked_again(gateway: Gateway, many: AsyncLeases, *users: str) -> list[str]:
    """Return those whose refusal is forgotten, so that the service is asked once more."""
    asked = []
    for user in users:
        before = gateway.service_calls
        await _refuse(many, user)
        if gateway.service_calls > before:
            asked.append(user)
    return asked


@pytest.fixture
def tell(
    async_backend: AsyncMeter, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Story], None]:
    """Run a story with leases that are swept from four on."""
    monkeypatch.setattr(aio_leases, "SWEPT_FROM", SWEPT_FROM)

    def run(story: Story) -> None:
        async def whole() -> None:
            terms = {"size": 10, "ahead_seconds": None}
            async with AsyncLeases(async_backend, clock=seconds, **terms) as many:  # type: ignore[arg-type]
                await story(many)

        asyncio.run(whole())

    return run


def test_the_refusals_of_a_few_customers_are_remembered_between_sweeps(
    gateway: Gateway, tell: Callable[[Story], None]
) -> None:
    """After a sweep that left none there is place for as many as at first."""

    async def story(many: AsyncLeases) -> None:
        await _refuse(many, "a", "b", "c", "d")
        assert await _asked_again(gateway, many, "a", "d") == []
        await _refuse(many, "e", "f", "g")
        assert await _asked_again(gateway, many, "e", "f", "g") == []
        assert await _asked_again(gateway, many, "a") == ["a"]

    tell(story)


def test_leases_are_swept_whenever_their_number_has_doubled(
    gateway: Gateway, tell: Callable[[Story], None]
) -> None:
    """Four customers have units, and their leases stay."""

    async def story(many: AsyncLeases) -> None:
        for user in ("a", "b", "c", "d"):
            gateway.fund(user, 100)
            await many.debit(user)
        strangers = ["e", "f", "g", "h"]
        await _refuse(many, *strangers)
        assert await _asked_again(gateway, many, *strangers) == []
        await _refuse(many, "i")
        assert await _asked_again(gateway, many, "e") == ["e"]
        before = gateway.service_calls
        await many.debit("a")
        assert gateway.service_calls == before, "the lease has units, and was kept"

    tell(story)
