"""A server in Stripe's place that answers as a test says, and notes every request."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import parse_qsl

from billing.deadline import Deadline
from billing.stripe_api.cards import SavedCards
from billing.stripe_api.client import Gateway

Answer = tuple[int, dict[str, Any]]
NOTHING: Final[Answer] = (200, {"object": "list", "data": [], "has_more": False})
CREATE: Final[Any] = {"mode": "payment", "metadata": {"user_id": "alice"}}
CHARGE: Final = {"amount": 999, "currency": "usd", "metadata": {"user_id": "alice"}}


class Few(Deadline):
    """Three tries, no pause."""

    def attempts(self, *, pauses: bool = True) -> Iterator[int]:
        """Three."""
        del pauses
        yield from range(3)


class Wire:
    """Answers as the test says, one after the other, and notes what came."""

    def __init__(self, url: str) -> None:
        """Nothing has come."""
        self.url = url
        self.answers: list[Answer] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.read: list[bool] = []
        self.keys: list[str] = []

    def take(self, line: str, sent: str, headers: dict[str, str]) -> Answer:
        """A request came. The last answer is repeated."""
        place, _, query = line.partition("?")
        self.asked.append((place, dict(parse_qsl(query or sent))))
        self.headers.append(headers)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def key(self, fresh: bool) -> str:  # noqa: FBT001 - the reader's own protocol
        """A new one whenever it is read again, or as the test says."""
        self.read.append(fresh)
        return self.keys.pop(0) if self.keys else f"sk_test_{self.read.count(True)}"

    def gateway(self, *answers: Answer) -> Gateway:
        """A container's own."""
        self.answers = [*answers]
        return Gateway(self.key, self.url, Few())

    def cards(self, *answers: Answer) -> SavedCards:
        """For saved cards."""
        return SavedCards(self.gateway(*answers))


@contextmanager
def served() -> Iterator[SimpleNamespace]:
    """One server, whose ``wire`` each test sets."""
    place = SimpleNamespace()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            names = {name.lower(): value for name, value in self.headers.items()}
            status, body = place.wire.take(f"{self.command} {self.path}", sent, names)
            answer = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("request-id", "req_1")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _answer  # noqa: N815 - the base class's names

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    place.url = f"http://127.0.0.1:{server.server_port}"
    yield place
    server.shutdown()
    thread.join()
    server.server_close()


def page(*rows: dict[str, Any], more: bool = False) -> Answer:
    """One page of a list."""
    return 200, {"object": "list", "data": [*rows], "has_more": more}


def refusal(status: int, **error: Any) -> Answer:
    """Stripe's error object."""
    return status, {"error": {"type": "invalid_request_error", "message": "No.", **error}}
