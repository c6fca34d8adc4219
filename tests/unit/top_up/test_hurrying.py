"""Messages that hurry a charge: what is sent, how often it is tried, and what a message says."""

import importlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from billing.top_up import messages


class Queue:
    """A queue on a loopback port. It answers with ``status``, and keeps what it was sent."""

    def __init__(self) -> None:
        """It takes everything."""
        self.status = 200
        self.bodies: list[dict[str, Any]] = []
        queue = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                """Keep it."""
                size = int(self.headers["content-length"])
                queue.bodies.append(json.loads(self.rfile.read(size)))
                answer = b"{}"
                self.send_response(queue.status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    """Its client is made again, before and after."""
    found = Queue()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
    importlib.reload(messages)
    thread = Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()
    importlib.reload(messages)


def test_a_message_is_a_users_id_alone_and_can_be_read_again(queue: Queue) -> None:
    url = f"{queue.url}/1/TopUpQueue"
    assert messages.hurry(url, "alice") is True
    (sent,) = queue.bodies
    assert sent == {"QueueUrl": url, "MessageBody": '{"user_id": "alice"}'}
    assert messages.user_in(sent["MessageBody"]) == "alice"


def test_a_message_that_is_not_taken_is_tried_once_and_said_to_be_lost(queue: Queue) -> None:
    """The caller waits for it, and the sweep finds the account."""
    queue.status = 500
    assert messages.hurry(f"{queue.url}/1/TopUpQueue", "alice") is False
    assert len(queue.bodies) == 1


def test_a_queue_that_is_not_there_is_no_error(queue: Queue) -> None:
    queue.server.server_close()
    assert messages.hurry(f"{queue.url}/1/TopUpQueue", "alice") is False


def test_a_message_has_a_second_to_connect_and_one_for_the_answer() -> None:
    """A debit's answer waits for it."""
    client: Any = messages.CLIENT
    assert (client.connect_timeout, client.read_timeout) == (1, 1)


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", "3", '"alice"', "null"])
def test_what_is_no_message_is_said_to_be_none(body: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        messages.user_in(body)


@pytest.mark.parametrize("user_id", ["alice", 'x"y', "\u00e4\u4e2d", "7"])
def test_every_users_id_survives_its_message(user_id: str) -> None:
    assert messages.user_in(json.dumps({"user_id": user_id, "more": 1})) == user_id
