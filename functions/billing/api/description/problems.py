"""The schemas of refusals: problem documents, a 402's, and API Gateway's own."""

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
    """Return the schemas of every refusal, by name."""
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
    """Return the schemas of a 402: the account has no units, or the key's limit is reached."""
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
