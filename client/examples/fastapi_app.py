"""An API whose calls are sold by Topup.

Try it on the stand (`make up` in the repository's root, and buy something as alice).

pip install ./client fastapi uvicorn TOPUP_URL=http://localhost:8080 TOPUP_TOKEN=$(make -s token
SUB=backend SCOPE=quota.write) uvicorn --app-dir client/examples fastapi_app:app curl -i
localhost:8000/reports/7 -H "x-api-key: demo-key-of-alice"
"""

import os

from fastapi import FastAPI
from topup_client import AsyncLeases, AsyncMeter, QuotaMiddleware, header_user
from topup_client.asgi import Scope

CUSTOMERS = {"demo-key-of-alice": "alice"}
"""Stands for your own look-up of an API key; it may be `async def`."""
COSTS = {"/health": 0, "/openapi.json": 0, "/docs": 0}


def units(scope: Scope) -> int:
    """Reports cost five units, what has no price one."""
    path: str = scope["path"]
    return 5 if path.startswith("/reports/") else COSTS.get(path, 1)


app = FastAPI(title="Reports")
meter = AsyncMeter(os.environ["TOPUP_URL"], os.environ["TOPUP_TOKEN"])
app.add_middleware(
    QuotaMiddleware,
    spender=AsyncLeases(meter, size=100),
    user=header_user("x-api-key", CUSTOMERS.get),
    units=units,
)


@app.get("/health")
async def health() -> dict[str, str]:
    """Free."""
    return {"status": "up"}


@app.get("/reports/{number}")
async def report(number: int) -> dict[str, int]:
    """Five units."""
    return {"report": number}
