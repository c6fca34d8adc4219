"""Receivers that hang, drip, redirect, flood, or show a wrong certificate: real sockets."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from billing.notices import address, http_post
from billing.notices.delivery import Answer, Failed, Gone, Sent
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.raw_receivers import Act, Server, read

TRY: float = 1
"""Seconds in place of the product's five."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is enough here."""
    monkeypatch.setattr(http_post, "TRY_SECONDS", TRY)


def _answering(raw: bytes) -> Act:
    def act(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(raw)

    return act


def _send(url: str, context: ssl.SSLContext | None = None, **more: object) -> Answer:
    parsed = address.parse(url, is_local=True)
    used = context or ssl.create_default_context()
    return http_post.send(parsed, b'{"id":"evt_1"}', {"webhook-id": "evt_1"}, used, **more)  # type: ignore[arg-type]


def _to(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/hook?a=1"


@pytest.mark.parametrize(
    ("status", "means"),
    [
        ("200 OK", Sent()),
        ("204 No Content", Sent()),
        ("299 Odd", Sent()),
        ("301 Moved", Failed("HTTP 301")),
        ("307 Temporary", Failed("HTTP 307")),
        ("400 Bad", Failed("HTTP 400")),
        ("410 Gone", Gone()),
        ("429 Slow down", Failed("HTTP 429")),
        ("500 Oops", Failed("HTTP 500")),
    ],
)
def test_the_status_decides(serve: Callable[..., Server], status: str, means: Answer) -> None:
    server = serve(_answering(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode()))
    assert _send(_to(server)) == means


def test_a_receiver_gets_the_body_and_its_headers(serve: Callable[..., Server]) -> None:
    got: list[bytes] = []

    def act(connection: socket.socket) -> None:
        got.append(read(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    server = serve(act)
    assert _send(_to(server)) == Sent()
    head, _, body = got[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?a=1 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{server.port}".encode() in head
    assert (b"webhook-id: evt_1" in head, body) == (True, b'{"id":"evt_1"}')


def test_a_redirect_is_not_followed(serve: Callable[..., Server]) -> None:
    """It could lead into the seller's own network."""
    inner = serve(_answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    moved = f"HTTP/1.1 302 Found\r\nlocation: {_to(inner)}\r\ncontent-length: 0\r\n\r\n"
    assert _send(_to(serve(_answering(moved.encode())))) == Failed("HTTP 302")
    assert inner.connections == 0


def _hang(connection: socket.socket) -> None:
    read(connection)
    time.sleep(30)  # the receiver hangs; the test does not wait for it


def _drip(connection: socket.socket) -> None:
    read(connection)
    for byte in b"HTTP/1.1 200 OK\r\n" + b"x-slow: 1\r\n" * 1000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)  # within every single time-out


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
def test_what_comes_before_the_answer_is_not_the_answer(
    serve: Callable[..., Server], interim: str
) -> None:
    """A proxy in front of the receiver may send them."""
    hints = f"HTTP/1.1 {interim}\r\nlink: </a>\r\n\r\n" * 2
    taken = f"{hints}HTTP/1.1 204 No Content\r\n\r\n".encode()
    assert _send(_to(serve(_answering(taken)))) == Sent()
    refused = f"{hints}HTTP/1.1 500 Oops\r\n\r\n".encode()
    assert _send(_to(serve(_answering(refused)))) == Failed("HTTP 500")


def _hints(connection: socket.socket) -> None:
    read(connection)
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        time.sleep(0.05)  # as above, with a status that http.client does not know


def _continue(connection: socket.socket) -> None:
    read(connection)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.05)  # each is a whole answer that ends nothing


@pytest.mark.parametrize("act", [_hang, _drip, _continue, _hints])
def test_a_try_ends_in_time_whatever_the_receiver_does(
    serve: Callable[..., Server], act: Act
) -> None:
    """Ended by the try itself: the servers would go on for half a minute and more."""
    begun = time.monotonic()
    assert _send(_to(serve(act))) == Failed(f"no answer in {TRY} s")
    assert time.monotonic() - begun < 25


def test_a_tls_handshake_that_hangs_ends_in_time(serve: Callable[..., Server]) -> None:
    server = serve(lambda _: time.sleep(30))
    assert _send(f"https://127.0.0.1:{server.port}/") == Failed(f"no answer in {TRY} s")


def test_a_name_server_that_hangs_ends_in_time() -> None:
    """The system's resolver would wait for it for longer than a try may take."""
    ends = threading.Event()

    def hanging(*_: object, **__: object) -> list[object]:
        ends.wait(60)
        return []

    begun = time.monotonic()
    assert _send("https://hooks.example.com/", getaddrinfo=hanging) == Failed(
        f"no answer in {TRY} s"
    )
    assert time.monotonic() - begun < 25
    ends.set()


def test_a_huge_body_is_not_read(serve: Callable[..., Server]) -> None:
    """The status is the answer. The receiver's gigabytes stay with it."""
    sent: list[int] = []

    def act(connection: socket.socket) -> None:
        read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
        for _ in range(10_000):
            connection.sendall(b"x" * 100_000)
            sent.append(100_000)

    assert _send(_to(serve(act))) == Sent()
    assert sum(sent) < 100_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 1000 + b"\r\n",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_is_no_answer_is_a_failed_try(
    serve: Callable[..., Server], raw: bytes
) -> None:
    assert isinstance(_send(_to(serve(_answering(raw)))), Failed)


def test_a_receiver_that_is_not_there_is_a_failed_try() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert _send(f"http://127.0.0.1:{port}/") == Failed("ConnectionRefusedError")


def _certificate(folder: Path, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def _tls(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_tls_checks_the_name_though_the_address_was_resolved_before(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """hooks.example.com resolves to this machine; its certificate counts, another's does not."""
    file = _certificate(tmp_path, "hooks.example.com")
    server = serve(_answering(b"HTTP/1.1 200 OK\r\n\r\n"), _tls(file))
    trusting = ssl.create_default_context(cafile=str(file))

    def here(*_: object, **__: object) -> list[object]:
        return [(2, 1, 6, "", ("127.0.0.1", server.port))]

    right = f"https://hooks.example.com:{server.port}/"
    wrong = f"https://other.example.com:{server.port}/"
    assert _send(right, trusting, getaddrinfo=here) == Sent()
    refused = _send(wrong, trusting, getaddrinfo=here)
    assert isinstance(refused, Failed)
    assert "other.example.com" in refused.why


def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(
        _answering(b"HTTP/1.1 200 OK\r\n\r\n"), _tls(_certificate(tmp_path, "localhost"))
    )
    refused = _send(f"https://localhost:{server.port}/")
    assert isinstance(refused, Failed)
    assert refused.why.startswith("TLS: ")


def test_a_name_that_changes_after_the_check_gains_nothing(serve: Callable[..., Server]) -> None:
    """DNS rebinding: the name is asked once, and what was checked is connected to."""
    inner = serve(_answering(b"HTTP/1.1 200 OK\r\n\r\n"))
    asked: list[str] = []

    def rebinding(host: str, *_: object, **__: object) -> list[object]:
        asked.append(host)
        number = "192.0.2.1" if len(asked) == 1 else "127.0.0.1"
        return [(2, 1, 6, "", (number, inner.port))]

    parsed = address.parse(f"https://rebind.example.com:{inner.port}/", is_local=False)
    answer = http_post.send(parsed, b"{}", {}, ssl.create_default_context(), rebinding)
    assert answer == Failed("rebind.example.com is at 192.0.2.1, which is not public")
    assert (len(asked), inner.connections) == (1, 0)
