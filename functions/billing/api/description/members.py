"""The JSON schemas of request members that several operations share.

They are units, a user's id, a plan, an API key and others.
"""

from typing import Final

from billing.api import members, request
from billing.api.description.schema import Schema
from billing.ids import USER_ID_CHARS_MAX
from billing.money import UNITS_MAX
from billing.payments.plans import catalogue

UNITS: Final[Schema] = {
    "type": "integer",
    "minimum": 1,
    "maximum": UNITS_MAX,
    "description": "written without a fraction",
}
USER_ID: Final[Schema] = {
    "type": "string",
    "minLength": 1,
    "maxLength": USER_ID_CHARS_MAX,
    "pattern": members.TEXT,
}
KEY: Final[Schema] = {
    "type": "string",
    "maxLength": request.KEY_CHARS_MAX,
    "pattern": request.KEY,
}


def plan_id() -> Schema:
    """Return the JSON schema of a plan's id.

    It lists the ids in plans.json, which the first request reads.
    """
    return {"type": "string", "enum": list(catalogue())}
