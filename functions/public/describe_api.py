"""GET /api/v1/openapi.json: answers with the OpenAPI description of the whole API."""

from billing.api.endpoint import Answer, static_endpoint
from billing.api.request import Request


@static_endpoint
def handler(request: Request) -> Answer:
    """Answer with the OpenAPI description. It needs no token, and is the same for all callers."""
    del request
    # Nothing else in a container needs these modules, which take longer to load
    # than to answer: so they belong to the request that builds the description.
    from billing.api import openapi  # noqa: PLC0415

    return 200, openapi.document()
