"""What one try sends, and what each status of its answer means."""

import socket
import ssl
from typing import Any

import pytest
from billing.notices import address, http_post
from billing.notices.delivery import Answer, Failed, Gone, Sent
from support.raw_receivers import Serve, read


def _send(url: str) -> Answer:
    parsed = address.parse(url, is_local=True)
    context = ssl.create_default_context()
    return http_post.send(parsed, b'{"id":"evt_1"}', {"webhook-id": "evt_1"}, context)


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (101, Failed("HTTP 101")),
        (200, Sent()),
        (201, Sent()),
        (298, Sent()),
        (299, Sent()),
        (300, Failed("HTTP 300")),
        (409, Failed("HTTP 409")),
        (410, Gone()),
        (411, Failed("HTTP 411")),
        (599, Failed("HTTP 599")),
    ],
)
def test_each_status_at_a_bound_means_what_it_says(
    serve: Serve,
    status: int,
    means: Answer,
) -> None:
    def act(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n".encode())

    assert _send(f"http://127.0.0.1:{serve(act).port}/") == means


@pytest.mark.parametrize("interim", [100, 102, 103, 198, 199])
def test_an_interim_answer_is_followed_by_the_answer(
    serve: Serve,
    interim: int,
) -> None:
    """However many there are."""

    def act(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(f"HTTP/1.1 {interim} x\r\n\r\n".encode() * 3)
        connection.sendall(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")

    assert _send(f"http://127.0.0.1:{serve(act).port}/") == Gone()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://localhost/x", "localhost"),
        ("http://localhost:80/x", "localhost"),
        ("http://localhost:443/x", "localhost:443"),
        ("http://localhost:79/x", "localhost:79"),
        ("http://localhost:8081/x", "localhost:8081"),
        ("http://[::1]/x", "[::1]"),
        ("http://[::1]:8081/x", "[::1]:8081"),
    ],
)
def test_a_try_names_the_host_as_its_address_does(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    host: str,
) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#section-7.2: without the scheme's own port."""
    got: list[bytes] = []

    def act(connection: socket.socket) -> None:
        got.append(read(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    server = serve(act)
    connect = socket.create_connection

    def to_the_server(_: Any, timeout: float) -> socket.socket:
        return connect(("127.0.0.1", server.port), timeout)

    monkeypatch.setattr(socket, "create_connection", to_the_server)
    assert _send(url) == Sent()
    head, _, body = got[0].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert (first, body) == ("POST /x HTTP/1.1", b'{"id":"evt_1"}')
    sent = dict(line.lower().split(": ", 1) for line in lines)
    assert sent.pop("accept-encoding", "identity") == "identity"
    assert sent == {
        "host": host,
        "connection": "close",
        "webhook-id": "evt_1",
        "content-length": "14",
    }


def test_the_next_address_is_tried_where_one_refuses(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In their order, and no further one than needed."""

    def act(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    server = serve(act)
    connect, tried = socket.create_connection, list[Any]()

    def counted(place: Any, timeout: float) -> socket.socket:
        tried.append(place)
        if len(tried) < 3:
            raise ConnectionRefusedError
        return connect(("127.0.0.1", server.port), timeout)

    monkeypatch.setattr(socket, "create_connection", counted)
    rows = [(2, 1, 6, "", (f"192.0.2.{number}", 81)) for number in range(1, 5)]
    parsed = address.parse("http://localhost:81/", is_local=True)
    context = ssl.create_default_context()
    found = http_post.send(parsed, b"{}", {}, context, lambda *_, **__: rows)
    assert found == Sent()
    assert tried == [("192.0.2.1", 81), ("192.0.2.2", 81), ("192.0.2.3", 81)]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ConnectionRefusedError(), "ConnectionRefusedError"),
        (OSError("unreachable"), "OSError"),
        (ValueError("an odd header"), "ValueError"),
    ],
)
def test_what_no_address_answers_is_named_by_the_last_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def refuses(*_: Any) -> socket.socket:
        raise error

    monkeypatch.setattr(socket, "create_connection", refuses)
    assert _send("http://127.0.0.1:81/") == Failed(why)


def test_an_address_that_does_not_answer_takes_the_time_of_the_others_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time of the try is over then: no further one is asked."""
    tried: list[Any] = []

    def hangs(place: Any, _: float) -> socket.socket:
        tried.append(place)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hangs)
    rows = [(2, 1, 6, "", (f"192.0.2.{number}", 81)) for number in range(1, 4)]
    parsed = address.parse("http://localhost:81/", is_local=True)
    context = ssl.create_default_context()
    found = http_post.send(parsed, b"{}", {}, context, lambda *_, **__: rows)
    assert (found, len(tried)) == (Failed("TimeoutError"), 1)


def test_a_fault_of_ours_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(*_: Any) -> socket.socket:
        raise RuntimeError("a fault")

    monkeypatch.setattr(socket, "create_connection", faulty)
    with pytest.raises(RuntimeError):
        _send("http://127.0.0.1:81/")


def test_a_try_has_five_seconds() -> None:
    """As the README of the events says."""
    assert http_post.TRY_SECONDS == 5
