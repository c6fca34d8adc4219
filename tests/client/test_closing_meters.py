"""A meter's block ends with its connections, also where the block fails."""

import asyncio

import httpx
import pytest
from topup_client import AsyncMeter, Meter


class Line(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Counts how often it is closed."""

    def __init__(self) -> None:
        """Open."""
        self.closed = 0

    def close(self) -> None:
        """See httpx."""
        self.closed += 1

    async def aclose(self) -> None:
        """The same."""
        self.closed += 1


class _StoppedError(Exception):
    """Of the seller's own code."""


@pytest.mark.parametrize("fails", [False, True])
def test_a_block_of_a_meter_closes_its_connections(*, fails: bool) -> None:
    """Once."""
    line = Line()

    def block() -> None:
        with Meter("https://api.example.com", "token", transport=line):
            assert line.closed == 0
            if fails:
                raise _StoppedError

    if fails:
        with pytest.raises(_StoppedError):
            block()
    else:
        block()
    assert line.closed == 1


@pytest.mark.parametrize("fails", [False, True])
def test_a_block_of_an_awaited_meter_closes_its_connections(*, fails: bool) -> None:
    """The same."""
    line = Line()

    async def block() -> None:
        async with AsyncMeter("https://api.example.com", "token", transport=line):
            assert line.closed == 0
            if fails:
                raise _StoppedError

    if fails:
        with pytest.raises(_StoppedError):
            asyncio.run(block())
    else:
        asyncio.run(block())
    assert line.closed == 1
