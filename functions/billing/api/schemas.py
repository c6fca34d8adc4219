"""Builds the JSON Schemas of the API's description (JSON Schema 2020-12).

The schemas of debits, holds, keys and the quota are derived from the dataclasses of their answers.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    get_args,
    get_origin,
    get_type_hints,
)

from billing.account.alert import Alert
from billing.cursors import LIMIT_MAX
from billing.errors import STATUS_OF
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
from billing.top_up.charge import Reason

Schema = dict[str, Any]
TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
MAYBE_TEXT: Final[Schema] = {"type": ["string", "null"]}
MAYBE_COUNT: Final[Schema] = {"type": ["integer", "null"], "minimum": 0}
MAYBE_TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
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
    """Return all schemas by name. ``ref`` refers to them."""
    return {**_of_buying(), **_of_spending(), **_of_keys(), **_of_refusing()}


def ref(name: str) -> Schema:
    """Return a reference to the schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(**properties: Schema) -> Schema:
    """Return the schema of an object in which all of these members are required."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
    }


def schema_of(answer: type) -> Schema:
    """Return the schema of an answer's dataclass. A member with a default is optional."""
    hints = get_type_hints(answer, include_extras=True)
    declared = fields(answer)
    return {
        "type": "object",
        "required": [
            field.name for field in declared if field.default is MISSING
        ],
        "properties": {
            field.name: _of_type(hints[field.name]) for field in declared
        },
    }


JSON_TYPES: Final = {str: "string", int: "integer", bool: "boolean"}


def _of_type(hint: Any) -> Schema:
    """Return the schema of one member's type, as billing/answers.py declares it."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *said = get_args(hint)
        schema = _of_type(base)
        for member in said:
            schema |= {
                name: value
                for name, value in member._asdict().items()
                if value is not None
            }
        return schema
    if origin is Literal:
        return _one_of(get_args(hint))
    if origin is UnionType or NoneType in get_args(hint):
        (some,) = (kind for kind in get_args(hint) if kind is not NoneType)
        schema = _of_type(some)
        return schema | {"type": [schema["type"], "null"]}
    if isinstance(hint, type) and is_dataclass(hint):
        return schema_of(hint)
    return {"type": JSON_TYPES[hint]}


def _of_buying() -> Schema:
    bought: Schema = {"plan": TEXT, "quota": COUNT, **MONEY}
    return {
        "Plan": _of_plan(),
        "Plans": record(plans=_list("Plan", PLANS_MAX), welcome=_of_welcome()),
        "Checkout": record(
            payment_id=TEXT,
            session_id=TEXT,
            url=TEXT | {"format": "uri"},
            **bought,
            status=_one_of(("pending",)),
            expires_at=TIME,
        ),
        "Settlement": record(status=_one_of(get_args(Status))),
        "Payment": record(
            payment_id=TEXT,
            session_id=MAYBE_TEXT,
            **bought,
            paid_minor=PAID_MINOR,
            payment_intent_id=MAYBE_TEXT,
            status=_one_of(get_args(PaymentStatus)),
            created_at=TIME,
            completed_at=MAYBE_TIME,
            refunded_minor=COUNT,
            units_clawed_back=COUNT,
            failure_code=MAYBE_TEXT,
        ),
        "Payments": record(
            payments=_list("Payment", LIMIT_MAX), next_cursor=MAYBE_TEXT
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
    entries = record(entries=_list("Entry", LIMIT_MAX), next_cursor=MAYBE_TEXT)
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
        type=_one_of(get_args(EntryType)),
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
        "Keys": record(keys=_list("Key", LISTED_MAX)),
        "NewKey": schema_of(NewKey),
        "HeldKey": schema_of(HeldKey),
    }


def _of_refusing() -> Schema:
    problem: Schema = {
        "type": TEXT,
        "title": TEXT,
        "status": WHOLE,
        "code": _one_of(tuple(STATUS_OF)),
        "detail": TEXT,
        "request_id": TEXT,
    }
    refusal = {
        "type": "object",
        "properties": {"message": MAYBE_TEXT},
        "description": "API Gateway's own",
    }
    return {
        "Problem": record(**problem)
        | {
            "description": "https://www.rfc-editor.org/rfc/rfc9457, with a stable code"
        },
        **_of_nothing_taken(problem),
        "Refusal": refusal,
        "Description": {"type": "object", "description": "OpenAPI 3.1"},
    }


def _of_nothing_taken(problem: Mapping[str, Schema]) -> Schema:
    """Return the schemas of a 402: the account has no units, or the key's limit is reached."""
    exhausted = {"code": _one_of(("quota_exhausted",))}
    reached = {"code": _one_of(("key_limit_reached",))}
    url = TEXT | {"format": "uri"}
    return {
        "Exhausted": record(
            **{**problem, **exhausted}, remaining=COUNT, top_up_url=url
        ),
        "LimitReached": record(
            **{**problem, **reached},
            limit_remaining=COUNT,
            resets_at=MAYBE_TIME,
        ),
        "NothingTaken": {"anyOf": [ref("Exhausted"), ref("LimitReached")]},
    }


def _list(name: str, most: int) -> Schema:
    return {"type": "array", "items": ref(name), "maxItems": most}


def _one_of(values: tuple[str, ...]) -> Schema:
    return {"type": "string", "enum": list(values)}
