"""GET /api/v1/plans: what is for sale."""

from billing import plans
from billing.api import Request
from billing.runtime import Answer, static_endpoint


@static_endpoint
def handler(request: Request) -> Answer:
    """Public; the same for everybody."""
    del request
    return 200, {"plans": [plan.as_answer() for plan in plans.catalogue().values()]}
