"""What docs/events.md promises of each try, by its numbers."""

import socket
import ssl
from typing import Any

import pytest
from billing.notices import address, event_bus, http_post
from billing.notices.delivery import Sent
from billing.notices.rows import Row
from support.raw_receivers import Serve, read

from infra.local.paths import ROOT


class Agreed(socket.socket):
    """A connection whose handshake is done."""

    def do_handshake(self) -> None:
        """Nothing is left to do."""


class Plain(ssl.SSLContext):
    """Encrypts nothing, so that the server of a test reads what was sent."""

    def wrap_socket(self, sock: socket.socket, *_: Any, **__: Any) -> Any:
        """Return the same connection."""
        wrapped = Agreed(fileno=sock.detach())
        wrapped.settimeout(http_post.TRY_SECONDS)
        return wrapped


def test_a_receiver_has_the_time_that_the_page_says() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert f"Answer 2xx within {http_post.TRY_SECONDS} seconds" in page
    assert http_post.TRY_SECONDS == 5


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://localhost/", "localhost"),
        ("https://localhost:443/", "localhost"),
        ("https://localhost:80/", "localhost:80"),
        ("https://localhost:8443/", "localhost:8443"),
    ],
)
def test_a_try_over_tls_names_the_host_without_port_443(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    host: str,
) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#section-7.2."""
    got: list[bytes] = []

    def act(connection: socket.socket) -> None:
        got.append(read(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    server = serve(act)
    connect = socket.create_connection
    monkeypatch.setattr(
        socket, "create_connection", lambda _, timeout: connect(("127.0.0.1", server.port), timeout)
    )
    parsed = address.parse(url, is_local=True)
    context = Plain(ssl.PROTOCOL_TLS_CLIENT)
    assert http_post.send(parsed, b"{}", {}, context) == Sent()
    assert f"host: {host}\r\n" in got[0].decode().lower()


def test_a_stored_event_without_a_time_is_due_at_once() -> None:
    """As after a restore of an older row."""
    row = {
        "user_id": "alice",
        "notice": "1",
        "id": "evt_1",
        "type": "quota.low",
        "created": "2026-01-02T03:04:05Z",
        "sequence": 1,
        "data": {},
        "state": "waiting",
        "attempts": 0,
        "since": 1,
    }
    found = Row.from_item(row)
    assert (found.due_at, found.done, found.gone, found.last_error) == (0, frozenset(), False, "")


def test_the_bus_has_a_connection_for_each_of_the_events_that_are_sent_at_once() -> None:
    """Else urllib3 throws connections away: its own pool has ten."""
    assert event_bus.CLIENT.max_pool_connections == 50
