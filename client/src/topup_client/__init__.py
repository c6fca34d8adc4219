"""Spend prepaid API quota from your own API.

``Meter`` calls the service, ``Leases`` spend in memory, ``QuotaMiddleware`` guards an app.
"""

from topup_client.aio import AsyncLease
from topup_client.aio_leases import AsyncLeases
from topup_client.aio_meter import AsyncMeter
from topup_client.asgi import Caller, QuotaMiddleware, header_user
from topup_client.costs import CallCosts
from topup_client.decorator import metered
from topup_client.errors import (
    HoldClosed,
    InvalidKey,
    KeyLimitReached,
    LeaseClosed,
    OutcomeUnknown,
    QuotaExhausted,
    Refused,
    TopupError,
    Unavailable,
)
from topup_client.events import EventRefused, verify_event
from topup_client.lease import Lease
from topup_client.leases import Leases
from topup_client.meter import Meter
from topup_client.results import ClosedHold, Debit, Hold
from topup_client.tranche import Tally

__all__ = [
    "AsyncLease",
    "AsyncLeases",
    "AsyncMeter",
    "CallCosts",
    "Caller",
    "ClosedHold",
    "Debit",
    "EventRefused",
    "Hold",
    "HoldClosed",
    "InvalidKey",
    "KeyLimitReached",
    "Lease",
    "LeaseClosed",
    "Leases",
    "Meter",
    "OutcomeUnknown",
    "QuotaExhausted",
    "QuotaMiddleware",
    "Refused",
    "Tally",
    "TopupError",
    "Unavailable",
    "header_user",
    "metered",
    "verify_event",
]
