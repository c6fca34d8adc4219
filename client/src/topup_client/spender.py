"""Who the middleware and the decorator spend from: a meter or leases."""

from collections.abc import Awaitable
from typing import Protocol


class Spender(Protocol):
    """``Meter`` or ``Leases``."""

    def debit(self, user_id: str, units: int = 1, *, key_id: str | None = None) -> object:
        """Take ``units``, or raise a ``TopupError``."""


class AsyncSpender(Protocol):
    """``AsyncMeter`` or ``AsyncLeases``."""

    def debit(
        self, user_id: str, units: int = 1, *, key_id: str | None = None
    ) -> Awaitable[object]:
        """Take ``units``, or raise a ``TopupError``."""

    async def aclose(self) -> None:
        """Called when the application shuts down."""
