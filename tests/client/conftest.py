"""The client, and the product's handlers over a store in memory."""

import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import debit_quota
import hold_quota
import httpx
import manage_keys
import pytest
from billing.spending import memory
from billing.wiring import container
from client.gateway import TOKEN, URL, AsyncGateway, Gateway
from functional.lab import REGION, SITE, forget
from functional.template import Template
from support import builders
from support.builders import STACK, Clock
from support.fakes.memory_store import MemoryStore
from topup_client import AsyncMeter, Meter, service


@pytest.fixture
def clock() -> Clock:
    """The service's clock and the client's, moved by hand."""
    return Clock()


@pytest.fixture
def gateway(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    """The handlers with the environment that the template gives them, on an empty store."""
    forget(clients=True)
    template = Template(
        STACK,
        REGION,
        Stage="local",
        SiteUrl=SITE,
        JwtIssuer="http://127.0.0.1:9",
        JwtAudience="topup",
    )
    for name, value in template.environment().items():
        monkeypatch.setenv(name, value)
    books = builders.books_on(MemoryStore(), clock=clock)
    monkeypatch.setattr(container, "books", lambda: books)
    for handler in (debit_quota, hold_quota, manage_keys):  # the name is bound when they are loaded
        monkeypatch.setattr(handler, "books", lambda: books)
    monkeypatch.setattr(
        container, "deadline", lambda: books.store.deadline
    )  # begun anew with every request, as in Lambda
    monkeypatch.setattr(service, "PAUSE_SECONDS", 0.001)
    memory._seen.clear()
    yield Gateway(template, books)
    memory._seen.clear()
    forget(clients=True)


@pytest.fixture
def backend(gateway: Gateway) -> Iterator[Meter]:
    """What the seller's code calls."""
    with Meter(URL, TOKEN, transport=gateway) as found:
        yield found


@pytest.fixture
def async_backend(gateway: Gateway) -> AsyncMeter:
    """The same, awaited."""
    return AsyncMeter(URL, TOKEN, transport=AsyncGateway(gateway))


@pytest.fixture
def seconds(clock: Clock) -> "Seconds":
    """For a lease: the client's clock, an hour off the service's, passing with it."""
    return Seconds(clock)


class Seconds:
    """A clock in seconds that passes when the test says so. Looking at it takes no time."""

    def __init__(self, clock: Clock) -> None:
        """Beside the service's clock."""
        self._clock = clock

    def __call__(self) -> float:
        """Now."""
        return (self._clock.now - builders.START).total_seconds() + 3600


@pytest.fixture
def customer() -> str:
    """Somebody new."""
    return f"user-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def url(gateway: Gateway) -> Iterator[str]:
    """The service on a loopback port: nothing in a process that ends can reach it otherwise."""

    class Handler(BaseHTTPRequestHandler):
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
