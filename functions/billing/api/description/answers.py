"""The JSON schemas of the API's answers, by name.

Those of debits, holds, API keys and the quota are derived from the dataclasses
of their answers.
"""

from collections.abc import Mapping
from typing import Final, get_args

from billing.account.alert import Alert
from billing.api.description.problems import of_refusing
from billing.api.description.schema import (
    COUNT,
    MAYBE_COUNT,
    MAYBE_TEXT,
    MAYBE_TIME,
    TEXT,
    TIME,
    WHOLE,
    Schema,
    list_of,
    one_of,
    record,
    schema_of,
)
from billing.charging.charge import Reason
from billing.cursors import LIMIT_MAX
from billing.holds.hold import ClosedHold, Hold
from billing.keys.api_keys import LISTED_MAX, NewKey
from billing.keys.figures import Key
from billing.keys.held import HeldKey
from billing.lots.listed import ListedLot
from billing.payments.payment import PaymentStatus
from billing.payments.plans import PLANS_MAX
from billing.quota.balance import Quota
from billing.quota.ledger import EntryType
from billing.settlement.settlement import Status
from billing.spending.debits import Debit

PAID_MINOR: Final = MAYBE_COUNT | {
    "description": "what was paid, after discounts, with tax; null before it is paid"
}
MONEY: Final[Mapping[str, Schema]] = {
    "amount_minor": COUNT | {"description": "in the currency's minor unit"},
    "amount": {
        "type": "string",
        "pattern": r"^[0-9]+(\.[0-9]+)?$",
        "description": "the same as a decimal",
    },
    "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
}


def schemas() -> Schema:
    """Return the JSON schemas of all answers, errors included, by name.

    Other schemas refer to one of these by its name, with ``schema.ref``.
    """
    return {**_of_buying(), **_of_spending(), **_of_keys(), **of_refusing()}


def _of_buying() -> Schema:
    bought: Schema = {"plan": TEXT, "quota": COUNT, **MONEY}
    return {
        "Plan": _of_plan(),
        "Plans": record(
            plans=list_of("Plan", PLANS_MAX), welcome=_of_welcome()
        ),
        "Checkout": record(
            payment_id=TEXT,
            session_id=TEXT,
            url=TEXT | {"format": "uri"},
            **bought,
            status=one_of(("pending",)),
            expires_at=TIME,
        ),
        "Settlement": record(status=one_of(get_args(Status))),
        "Payment": record(
            payment_id=TEXT,
            session_id=MAYBE_TEXT,
            **bought,
            paid_minor=PAID_MINOR,
            payment_intent_id=MAYBE_TEXT,
            status=one_of(get_args(PaymentStatus)),
            created_at=TIME,
            completed_at=MAYBE_TIME,
            refunded_minor=COUNT,
            units_clawed_back=COUNT,
            failure_code=MAYBE_TEXT,
        ),
        "Payments": record(
            payments=list_of("Payment", LIMIT_MAX), next_cursor=MAYBE_TEXT
        ),
        "Receipt": record(receipt_url=TEXT | {"format": "uri"}),
    }


def _of_plan() -> Schema:
    return record(
        id=TEXT,
        name=TEXT,
        description=TEXT,
        quota=COUNT,
        **MONEY,
        expires_after_days=MAYBE_COUNT,
    )


def _of_welcome() -> Schema:
    welcome = record(
        units=COUNT,
        expires_after_days=MAYBE_COUNT,
        needs_verified_email={"type": "boolean"},
        daily_max=COUNT,
    )
    return welcome | {
        "type": ["object", "null"],
        "description": "free units for a new customer; null where there are none",
    }


def _of_history() -> Schema:
    entries = record(
        entries=list_of("Entry", LIMIT_MAX), next_cursor=MAYBE_TEXT
    )
    by_key: Schema = {
        "type": "object",
        "additionalProperties": COUNT,
        "description": "of these units, those used by each API key, where any were",
    }
    rest = record(day=TEXT | {"format": "date"}, units=COUNT)
    rest["properties"]["by_key"] = by_key
    rest["description"] = (
        "on the first page, while the last day's use is no entry yet"
    )
    entries["properties"]["not_itemised"] = rest
    entry = record(
        id=TEXT,
        type=one_of(get_args(EntryType)),
        units=WHOLE | {"description": "signed"},
        balance_after=WHOLE,
        reference_type=TEXT,
        reference_id=TEXT,
        booked_at=TIME,
    )
    entry["properties"]["by_key"] = by_key
    return {"Entry": entry, "Entries": entries}


def _of_spending() -> Schema:
    return {
        "Quota": schema_of(Quota),
        "Lots": record(
            lots={
                "type": "array",
                "items": schema_of(ListedLot),
                "maxItems": LIMIT_MAX,
            },
            next_cursor=MAYBE_TEXT,
        ),
        "Grant": record(
            grant_id=TEXT,
            units=COUNT,
            expires_at=MAYBE_TIME,
            remaining=COUNT,
            debt=COUNT,
        ),
        "Voided": record(units=COUNT),
        "Alert": schema_of(Alert),
        **_of_top_ups(),
        **_of_history(),
        "Debit": schema_of(Debit),
        "Hold": schema_of(Hold),
        "ClosedHold": schema_of(ClosedHold),
    }


def _of_top_ups() -> Schema:
    card = record(brand=TEXT, last4=TEXT, exp_month=WHOLE, exp_year=WHOLE)
    agreement = record(
        on={"type": "boolean"},
        plan=MAYBE_TEXT,
        when_below=MAYBE_COUNT,
        max_per_month=MAYBE_COUNT,
        used_this_month=COUNT,
        card=card | {"type": ["object", "null"]},
        agreed_at=MAYBE_TIME,
        paused=MAYBE_TEXT | {"enum": [*get_args(Reason), None]},
    )
    return {
        "AutoTopUp": agreement,
        "AutoTopUpOff": record(on={"type": "boolean"}),
    }


def _of_keys() -> Schema:
    return {
        "Key": schema_of(Key),
        "Keys": record(keys=list_of("Key", LISTED_MAX)),
        "NewKey": schema_of(NewKey),
        "HeldKey": schema_of(HeldKey),
    }
