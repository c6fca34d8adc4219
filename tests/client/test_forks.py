"""What a forked child does not share with its parent: connections, and locks that threads held."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import httpx
import pytest
from client.gateway import TOKEN, Gateway
from topup_client import AsyncMeter, Leases, Meter

CHILD_SECONDS_MAX = 5
"""A child that waits for ever is ended, and counts as failed."""


class Service:
    """The service on a loopback port, with connections that stay open; counts them."""

    def __init__(self, gateway: Gateway) -> None:
        """Serve the handlers."""
        self.connections = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                """Count a connection."""
                super().setup()
                service.connections += 1

            def do_POST(self) -> None:
                """Hand the request to the handlers."""
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = httpx.Request(
                    "POST", f"http://service{self.path}", headers=dict(self.headers), content=body
                )
                answer = gateway.handle_request(asked)
                self.send_response(answer.status_code)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def service(gateway: Gateway) -> Iterator[Service]:
    """Up while the test runs; alice has units."""
    gateway.fund("alice", 100)
    service = Service(gateway)
    thread = threading.Thread(target=service.server.serve_forever, daemon=True)
    thread.start()
    yield service
    service.server.shutdown()
    thread.join()
    service.server.server_close()


def _in_a_child(story: Callable[[], object]) -> int:
    """Run a story in a forked process, and return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        signal.alarm(CHILD_SECONDS_MAX)
        story()
        code = 0
    finally:
        os._exit(code)


def test_an_awaited_meters_child_opens_a_connection_of_its_own(
    gateway: Gateway, service: Service
) -> None:
    """On its parent's, each would read the other's answers."""
    meter = AsyncMeter(service.url, TOKEN)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(meter.debit("alice", 1))
    loop.run_until_complete(meter.debit("alice", 1))
    assert service.connections == 1
    child = _in_a_child(lambda: asyncio.run(meter.debit("alice", 5)))
    assert (child, service.connections) == (0, 2)
    assert loop.run_until_complete(meter.debit("alice", 1)).remaining == 92
    loop.run_until_complete(meter.aclose())
    loop.close()
    assert (service.connections, gateway.quota().used) == (2, 8)


def test_a_blocking_meters_child_opens_a_connection_of_its_own(service: Service) -> None:
    """As the awaited one's."""
    with Meter(service.url, TOKEN) as meter:
        meter.debit("alice", 1)
        meter.debit("alice", 1)
        assert service.connections == 1
        assert _in_a_child(lambda: meter.debit("alice", 5)) == 0
        assert (meter.debit("alice", 1).remaining, service.connections) == (92, 2)


class Slow(str):
    """A customer's name that takes its time when a table is searched for it the second time."""

    __slots__ = ("may_go_on", "reached", "searched")
    searched: int
    reached: threading.Event
    may_go_on: threading.Event

    def __new__(cls, name: str) -> Self:
        """Not searched for yet."""
        made = super().__new__(cls, name)
        made.searched = 0
        made.reached, made.may_go_on = threading.Event(), threading.Event()
        return made

    def __hash__(self) -> int:
        """Wait the second time: the first search is made without a lock."""
        self.searched += 1
        if self.searched == 2:
            self.reached.set()
            self.may_go_on.wait(CHILD_SECONDS_MAX)
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        """As any text."""
        return super().__eq__(other)


def test_a_child_forked_while_a_customer_is_let_in_serves_others(
    gateway: Gateway, service: Service
) -> None:
    """The thread that held the parent's lock is not in the child, and would never let go of it."""
    slow: Any = Slow("carol")
    gateway.fund("carol", 10)
    with (
        Meter(service.url, TOKEN) as meter,
        Leases(meter, size=10, ahead_seconds=None, low_water=0) as leases,
    ):
        thread = threading.Thread(target=leases.debit, args=(slow,))
        thread.start()
        assert slow.reached.wait(CHILD_SECONDS_MAX)
        code = _in_a_child(lambda: leases.debit("alice", 3))
        slow.may_go_on.set()
        thread.join()
        assert code == 0
    assert gateway.quota("carol").used == 1
