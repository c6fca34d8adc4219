"""Describes the events to the seller, as ``webhooks`` of OpenAPI 3.1.

https://spec.openapis.org/oas/v3.1.1.html#oas-webhooks
"""

from collections.abc import Mapping
from typing import Final

from billing.api.description.schema import (
    COUNT,
    MAYBE_TIME,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    record,
    ref,
)

_QUOTA: Final = ref("Quota")
_PAYMENT: Final = ref("Payment")
_LOT: Final = record(
    lot_id=TEXT,
    source={"type": "string", "enum": ["purchase", "grant", "welcome"]},
    units=COUNT,
    left=COUNT,
    expires_at=MAYBE_TIME,
    reference_id=TEXT,
)
_TOP_UP: Final[Schema] = {
    "type": "object",
    "description": "as GET /quota/auto-top-up shows it",
}
EVENTS: Final[Mapping[str, tuple[str, Schema]]] = {
    "quota.low": ("What remains fell below the customer's threshold", _QUOTA),
    "quota.depleted": ("Nothing remains", _QUOTA),
    "quota.recovered": ("Units came in after quota.low", _QUOTA),
    "payment.completed": (
        "A payment was paid and its units credited",
        _PAYMENT,
    ),
    "payment.failed": (
        "A payment failed, or failed again by another code",
        _PAYMENT,
    ),
    "payment.refunded": (
        "The money that went back for good has changed. It falls if a refund fails",
        _PAYMENT,
    ),
    "payment.disputed": (
        "A dispute opened, moved money, or ended without a loss",
        _PAYMENT,
    ),
    "units.granted": ("Units were given without a payment", _LOT),
    "units.expiring": ("Units will expire soon", _LOT),
    "units.expired": ("Units have expired", _LOT),
    "top_up.failed": ("An automatic charge failed", _TOP_UP),
    "top_up.off": ("Automatic charges are switched off", _TOP_UP),
    "ping": ("`topup doctor` tries the way", record()),
}
"""Each event type, with what it reports and the schema of its ``data``."""
_SIGNED: Final = "https://www.standardwebhooks.com"


def webhooks() -> Schema:
    """Return the OpenAPI descriptions of the events to the seller, by type."""
    return {name: {"post": _described(name)} for name in EVENTS}


def schema_of_event(name: str) -> Schema:
    """Return the JSON schema of the body of an event to the seller.

    ``name`` is the event's type.
    """
    _, data = EVENTS[name]
    return record(
        id=TEXT | {"pattern": "^evt_[0-9a-f]{32}$"},
        type={"type": "string", "const": name},
        created=TIME,
        user_id=TEXT,
        sequence=WHOLE | {"minimum": 0},
        data=data,
    )


def _described(name: str) -> Schema:
    told, _ = EVENTS[name]
    headers = [
        _header("webhook-id", "the event's id: the same in every delivery"),
        _header("webhook-timestamp", "epoch seconds of this delivery"),
        _header(
            "webhook-signature", f"v1,BASE64, several while rolled; {_SIGNED}"
        ),
    ]
    content = {"application/json": {"schema": schema_of_event(name)}}
    return {
        "operationId": f"on_{name.replace('.', '_')}",
        "summary": told,
        "parameters": headers,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "2XX": {"description": "Taken. Anything else is delivered again"},
            "410": {"description": "Never again"},
        },
    }


def _header(name: str, told: str) -> Schema:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "schema": TEXT,
        "description": told,
    }
