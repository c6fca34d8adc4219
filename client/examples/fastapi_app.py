"""An API whose calls are sold by Topup.

Try it on the stand (`make up` in the repository's root, and buy something as alice).

pip install ./client fastapi uvicorn TOPUP_URL=http://localhost:8080 TOPUP_TOKEN=$(make -s token
SUB=backend SCOPE=quota.write) uvicorn --app-dir client/examples fastapi_app:app curl -i
localhost:8000/reports/7 -H "x-api-key: demo-key-of-alice"
"""

import os
from pathlib import Path

from fastapi import FastAPI
from topup_client import AsyncLeases, AsyncMeter, CallCosts, QuotaMiddleware, header_user

CUSTOMERS = {"demo-key-of-alice": "alice"}
"""Stands for your own look-up of an API key; it may be `async def`."""
COSTS = CallCosts.load(Path(__file__).with_name("costs.json"))
"""Reports cost five units, health nothing, what has no row one unit."""

app = FastAPI(title="Reports")
meter = AsyncMeter(os.environ["TOPUP_URL"], os.environ["TOPUP_TOKEN"])
app.add_middleware(
    QuotaMiddleware,
    spender=AsyncLeases(meter),
    user=header_user("x-api-key", CUSTOMERS.get),
    units=COSTS,
)


@app.get("/health")
async def health() -> dict[str, str]:
    """Free."""
    return {"status": "up"}


@app.get("/reports/{number}")
async def report(number: int) -> dict[str, int]:
    """Five units."""
    return {"report": number}
