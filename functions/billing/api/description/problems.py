"""The JSON schemas of error answers.

They are our problem documents, the two answers with status 402, and API
Gateway's own.
"""

from collections.abc import Mapping

from billing.api.description.schema import (
    COUNT,
    MAYBE_TEXT,
    MAYBE_TIME,
    TEXT,
    WHOLE,
    Schema,
    one_of,
    record,
    ref,
)
from billing.errors import STATUS_OF


def of_refusing() -> Schema:
    """Return the JSON schemas of all error answers, by name."""
    problem: Schema = {
        "type": TEXT,
        "title": TEXT,
        "status": WHOLE,
        "code": one_of(tuple(STATUS_OF)),
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
    """Return the schemas of the error answers with status 402, by name.

    The account has too few units, or the API key's limit is reached.
    ``problem`` has the members that every error answer has.
    """
    exhausted = {"code": one_of(("quota_exhausted",))}
    reached = {"code": one_of(("key_limit_reached",))}
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
