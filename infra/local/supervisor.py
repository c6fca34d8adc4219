"""Runs a local stack until it is stopped.

The embedded AWS is a child process. The front (which forwards requests to the API), the sign-in
issuer and the Stripe simulator run in this one.
"""

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import uvicorn
from starlette.types import ASGIApp

from infra.build import artifact
from infra.local import deploy, ministack, receiver
from infra.local.front import Front
from infra.local.issuer import create_app
from infra.local.kept_secrets import read_secrets
from infra.local.paths import REGION, STACK, LocalStackError, Paths
from infra.local.signing_keys import Keys
from infra.stripe_simulator.app import application
from infra.stripe_simulator.settings import WebhookTarget
from infra.stripe_simulator.simulator import Simulator

READY_SECONDS_MAX: Final = 60


class _Server(uvicorn.Server):
    """A server that leaves signals to the supervisor, because several run in one loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Supervisor:
    """Starts, serves and stops one local stack."""

    def __init__(self, paths: Paths, tell: Callable[[str], None]) -> None:
        """Prepare the local stack of ``paths``. ``tell`` is called with each line of progress."""
        self.paths = paths
        self._begun = time.monotonic()
        self._tell = tell
        self._servers: list[_Server] = []
        self._serving: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def step(self, text: str) -> None:
        """Print a line of progress, with the time since the start."""
        self._tell(f"[{time.monotonic() - self._begun:5.1f} s] {text}")

    async def run(self, ready: Callable[[dict[str, Any]], None]) -> None:
        """Start the stack, call ``ready``, and serve until SIGINT or SIGTERM. Then stop the stack.

        ``ready`` is called once, with the content of stand.json: the addresses and secrets.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        paths = self.paths
        paths.state.mkdir(parents=True, exist_ok=True)
        paths.check_ports()
        self.step("starting the embedded AWS")
        child = await asyncio.to_thread(ministack.start, paths)
        try:
            stand = await self._start()
            paths.stand_file.write_text(json.dumps(stand, indent=2) + "\n")
            self.step("ready")
            ready(stand)
            await self._stopping.wait()
        finally:
            self.step("stopping; the data is kept")
            paths.stand_file.unlink(missing_ok=True)
            for server in self._servers:
                server.should_exit = True
            await asyncio.gather(*self._serving, return_exceptions=True)
            await asyncio.to_thread(ministack.stop, child)

    async def _start(self) -> dict[str, Any]:
        """Serve the API's front, the sign-in issuer and Stripe's simulator, and deploy the product.

        The front forwards requests to the API. Returns the content of stand.json.
        """
        paths = self.paths
        front, settings = Front(), read_secrets(self.paths)
        if settings["real_stripe"]:  # its clock does not move
            paths.clock_file.unlink(missing_ok=True)
        simulator = Simulator(
            paths.stripe_url,
            settings["stripe_secret_key"],
            paths.state / "stripe.sqlite",
            clock_file=None if settings["real_stripe"] else paths.clock_file,
        )
        keys = Keys(paths.state / "issuer.pem", paths.issuer_url)
        apps: dict[str, ASGIApp] = {"front": front, "issuer": create_app(keys)}
        stripe = None if settings["real_stripe"] else application(simulator)
        apps["stripe"] = receiver.in_front_of(stripe)
        for name, app in apps.items():
            self._serving.append(asyncio.create_task(self._serve(app, getattr(paths, name))))
        return await self._deploy(front, simulator, settings)

    async def _serve(self, app: ASGIApp, port: int) -> None:
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        self._servers.append(server)
        await server.serve()

    async def _deploy(
        self, front: Front, simulator: Simulator, settings: dict[str, Any]
    ) -> dict[str, Any]:
        paths = self.paths
        self.step("building the functions (nothing to do when nothing has changed)")
        await asyncio.to_thread(artifact.build, paths)
        self.step("deploying template.yaml")
        stripe_base = "https://api.stripe.com" if settings["real_stripe"] else paths.stripe_url
        live = settings["stripe_secret_key"].startswith(("sk_live", "rk_live"))
        stack = await asyncio.to_thread(deploy.deploy, paths, stripe_base, stripe_live=live)
        names = (settings["stripe_secret_key"], [settings["webhook_secret"]])
        await asyncio.to_thread(deploy.put_secrets, paths, stack["resources"], *names)
        await asyncio.to_thread(
            deploy.put_event_secret, paths, stack["resources"], settings["notify_secret"]
        )
        front.target = f"{paths.aws_url}/_aws/execute-api/{stack['resources']['HttpApi']}/$default"
        function_host = stack["outputs"]["WebhookFunctionUrl"].removeprefix("https://").strip("/")
        webhook_url = f"{paths.front_url}/api/v1/payments/webhook"
        simulator.deliver_to(WebhookTarget(webhook_url, settings["webhook_secret"]))
        await self._wait_for_answer()
        return {
            "api_url": paths.front_url,
            "webhook_url": webhook_url,
            "webhook_function_url": f"{paths.aws_url}/",
            "webhook_function_host": function_host,
            "webhook_secret": settings["webhook_secret"],
            "stripe_api_base": stripe_base,
            "stripe_secret_key": settings["stripe_secret_key"],
            "aws_endpoint_url": paths.aws_url,
            "aws_region": REGION,
            "stack_name": STACK,
            "issuer_url": paths.issuer_url,
            "notify_url": paths.notify_url,
            "notify_secret": settings["notify_secret"],
        }

    async def _wait_for_answer(self) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            for _ in range(READY_SECONDS_MAX * 2):
                answer = await client.get(f"{self.paths.front_url}/api/v1/plans", timeout=20)
                if answer.status_code == httpx.codes.OK:
                    await self._warm(client)
                    return
                await asyncio.sleep(0.5)  # the first call starts the function
        message = (
            f"GET /api/v1/plans does not answer 200 but {answer.status_code}: {answer.text[:300]}"
        )
        raise LocalStackError(message)

    async def _warm(self, client: httpx.AsyncClient) -> None:
        """Call the Lambda functions that a purchase needs, so that the first purchase is quick.

        The calls change nothing, and their answers do not matter.
        """
        token = Keys(self.paths.state / "issuer.pem", self.paths.issuer_url).token(
            "nobody", "", READY_SECONDS_MAX, "topup"
        )
        base, headers = f"{self.paths.front_url}/api/v1", {"authorization": f"Bearer {token}"}
        await asyncio.gather(
            client.post(f"{base}/payments/webhook", content=b"{}", timeout=20),
            client.post(
                f"{base}/payments/checkout", content=b'{"plan":""}', headers=headers, timeout=20
            ),
            client.get(f"{base}/quota", headers=headers, timeout=20),
        )


def serve(
    paths: Paths, tell: Callable[[str], None], ready: Callable[[dict[str, Any]], None]
) -> int:
    """Run a local stack in the foreground. Returns 0 when it was stopped, 1 if it cannot start.

    ``tell`` is called with each line of progress, and ``ready`` once, with the content of
    stand.json (the addresses and secrets).
    """

    async def main() -> None:
        await Supervisor(paths, tell).run(ready)

    try:
        asyncio.run(main())
    except LocalStackError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
