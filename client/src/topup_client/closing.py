"""``with`` and ``async with``: closing at the end of the block."""

from types import TracebackType
from typing import Self


class Closing:
    """Something that is closed at the end of a ``with`` block."""

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Close at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


class AsyncClosing:
    """Something that is closed at the end of an ``async with`` block."""

    async def aclose(self) -> None:
        """End it."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        """Close at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()
