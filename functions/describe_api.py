"""GET /api/v1/openapi.json: the description of the whole API."""

from billing import openapi
from billing.api import Request
from billing.runtime import Answer, static_endpoint


@static_endpoint
def handler(request: Request) -> Answer:
    """Public; the same for everybody."""
    del request
    return 200, openapi.document()
