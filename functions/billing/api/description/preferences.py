"""Describes in OpenAPI how customers set their preferences.

They are the threshold of ``quota.low`` (the event that few units are left) and
automatic top-ups.
"""

from typing import Final

from billing.account import alert
from billing.agreements.agreement import MAX_PER_MONTH
from billing.api.description.members import UNITS, plan_id
from billing.api.description.operation import STRIPES, Operation, parameter
from billing.api.description.schema import Schema, record

LOW_AT: Final[Schema] = {
    "type": ["integer", "null"],
    "minimum": 0,
    "maximum": alert.LOW_AT_MAX,
    "description": "written without a fraction; 0 is never",
}


def of_alert() -> dict[str, Operation]:
    """Return the OpenAPI operations on the ``quota.low`` threshold, by method.

    They read and change it. When a customer's units fall below it, the event
    ``quota.low`` is sent to the seller.
    """
    low_at = record(low_at=LOW_AT)
    refused = ("invalid_request",)
    return {
        "get": Operation(
            "readAlert", "Where quota.low begins", 200, "Alert", "user"
        ),
        "put": Operation(
            "setAlert",
            "Set it, null for the default",
            200,
            "Alert",
            "user",
            refused,
            low_at,
        ),
    }


def of_auto_top_up() -> dict[str, Operation]:
    """Return the operations on automatic top-ups, by method.

    With them a customer agrees to automatic top-ups, reads the agreement or
    switches them off. They answer 404 if the seller does not offer automatic
    top-ups.
    """
    terms = record(
        plan=plan_id(),
        when_below=UNITS,
        max_per_month=UNITS | {"maximum": MAX_PER_MONTH},
        agreed={"type": "boolean", "const": True},
    )
    refused = ("not_found", "invalid_plan", "invalid_request", "no_saved_card")
    show = Operation(
        "readAutoTopUp",
        "What was agreed to",
        200,
        "AutoTopUp",
        "user",
        refused[:1],
    )
    agree = Operation(
        "agreeToAutoTopUp",
        "Agree that the saved card is charged when units run low",
        200,
        "AutoTopUp",
        "user",
        (*refused, *STRIPES),
        terms,
    )
    return {"get": show, "put": agree, "delete": _switch_off()}


def _switch_off() -> Operation:
    """Describe the operation that switches automatic top-ups off."""
    forget = parameter(
        "forget_card",
        "query",
        {"type": "string", "enum": ["true", "false"]},
        "true detaches the saved cards at Stripe too",
    )
    return Operation(
        "switchOffAutoTopUp",
        "Charge the saved card no more",
        200,
        "AutoTopUpOff",
        "user",
        ("not_found", "invalid_request", *STRIPES),
        None,
        (forget,),
    )
