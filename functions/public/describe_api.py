"""GET /api/v1/openapi.json: the description of the whole API."""

from billing.api import openapi
from billing.api.endpoint import Answer, static_endpoint
from billing.api.request import Request


@static_endpoint
def handler(request: Request) -> Answer:
    """Public; the same for everybody."""
    del request
    return 200, openapi.document()
