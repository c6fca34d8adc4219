"""A decorator: the function runs when its units are paid for, or not at all."""

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from topup_client.spender import AsyncSpender, Spender

F = TypeVar("F", bound=Callable[..., Any])


def metered(
    spender: Spender | AsyncSpender,
    *,
    user: str | Callable[..., str],
    units: int | Callable[..., int] = 1,
    key_id: str | Callable[..., str | None] | None = None,
) -> Callable[[F], F]:
    """Debit before the function runs. If the debit raises, the function does not run.

    ``user``, ``units`` and ``key_id`` are values, or are called with the function's own arguments.
    ``Meter`` and ``Leases`` go with plain functions, ``AsyncMeter`` and ``AsyncLeases`` with
    ``async def``. Any other pair raises TypeError when the module is loaded.
    """

    def decorate(function: F) -> F:
        awaits = inspect.iscoroutinefunction(function)
        if awaits != inspect.iscoroutinefunction(spender.debit):
            kind = (
                "async def: use AsyncMeter or AsyncLeases"
                if awaits
                else "not async: use Meter or Leases"
            )
            raise TypeError(f"{function.__qualname__} is {kind}, not {type(spender).__name__}")

        def bill(*args: object, **kwargs: object) -> object:
            user_id = user(*args, **kwargs) if callable(user) else user
            cost = units(*args, **kwargs) if callable(units) else units
            key = key_id(*args, **kwargs) if callable(key_id) else key_id
            of_key = {} if key is None else {"key_id": key}
            return spender.debit(user_id, cost, **of_key)

        @functools.wraps(function)
        def paid(*args: object, **kwargs: object) -> object:
            bill(*args, **kwargs)
            return function(*args, **kwargs)

        @functools.wraps(function)
        async def paid_async(*args: object, **kwargs: object) -> object:
            await cast("Awaitable[object]", bill(*args, **kwargs))
            return await function(*args, **kwargs)

        return cast("F", paid_async if awaits else paid)

    return decorate
