import asyncio
import importlib.util
from typing import Any

import httpx
import pytest
from support.stand import Stand

from infra.local.paths import ROOT

EXAMPLE = ROOT / "client" / "examples" / "fastapi_app.py"


@pytest.fixture
def example(stand: Stand, customer: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example as it stands, for a customer of this test's own."""
    monkeypatch.setenv("TOPUP_URL", stand.api_url)
    monkeypatch.setenv("TOPUP_TOKEN", stand.token("backend", "quota.write"))
    spec = importlib.util.spec_from_file_location("fastapi_app", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.CUSTOMERS["demo-key-of-alice"] = customer
    return module


def test_the_example_sells_twenty_reports_of_five_units(
    stand: Stand, customer: str, example: Any
) -> None:
    """And then no more, though its health is still told; what was used is captured when it shuts
    down.
    """
    stand.purchase(customer)

    async def story() -> list[int]:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def send(message: Any) -> None:
            assert not message["type"].endswith(".failed"), message

        life = asyncio.create_task(
            example.app(
                {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, inbox.get, send
            )
        )
        await inbox.put({"type": "lifespan.startup"})
        headers = {"x-api-key": "demo-key-of-alice"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(example.app), base_url="https://api", headers=headers
        ) as http:
            answers = [(await http.get(f"/reports/{number}")).status_code for number in range(21)]
            answers.append((await http.get("/health")).status_code)
        await inbox.put({"type": "lifespan.shutdown"})
        await life
        return answers

    assert asyncio.run(story()) == [*[200] * 20, 402, 200]
    quota = stand.quota(customer)
    assert (quota["used"], quota["held"], quota["remaining"]) == (100, 0, 0)
