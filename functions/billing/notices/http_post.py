"""Sends one event to the seller's address, in 5 seconds, without redirects.

urllib3 and requests limit the time between two bytes, not the whole request,
so a slow receiver could keep them busy for hours. They also resolve the host
name again after it was checked. So we use the standard library's client, with
a socket that is already connected to the checked IP address.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import partial
from threading import Thread, Timer
from time import monotonic
from typing import Final

from billing.notices import address as addresses
from billing.notices.address import Address, AddressError, Resolve
from billing.notices.delivery import Answer, Failed, Gone, Sent

TRY_SECONDS: Final = 5
GONE: Final = 410
OK: Final = range(200, 300)
INTERIM: Final = range(102, 200)
"""Statuses that come before the real answer, for example 103:
https://www.rfc-editor.org/rfc/rfc9110#section-15.2
"""


class Wire:
    """Connects to the seller's server to send one event, until a deadline.

    The deadline is for connecting, sending and reading together.
    """

    def __init__(self, seconds: float) -> None:
        """Set the deadline to ``seconds`` from now."""
        self._ends = monotonic() + seconds
        self._socket: socket.socket | None = None

    @property
    def left(self) -> float:
        """Return the seconds until the deadline. Raises TimeoutError after it."""
        left = self._ends - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @property
    def is_over(self) -> bool:
        """Return whether the deadline for sending the event has passed."""
        return monotonic() >= self._ends

    def connect(
        self, address: Address, numbers: list[str], context: ssl.SSLContext
    ) -> socket.socket:
        """Connect to one of the checked IP addresses. Return the socket.

        TLS still checks the certificate for the host name.
        """
        self._socket = self._reach(address, numbers)
        if address.is_https:
            self._socket = context.wrap_socket(
                self._socket,
                server_hostname=address.host,
                do_handshake_on_connect=False,
            )
            self._socket.do_handshake()
        return self._socket

    def _reach(self, address: Address, numbers: list[str]) -> socket.socket:
        last: OSError = OSError("no address")
        for number in numbers:
            try:
                return socket.create_connection(
                    (number, address.port), self.left
                )
            except TimeoutError:
                raise
            except OSError as error:
                last = error
        raise last

    def cut(self) -> None:
        """Shut the connection down, if there is one, while an event is sent.

        A timer calls it at the deadline. A read that is waiting then gets an
        end of file.
        """
        with suppress(OSError):
            if self._socket is not None:
                # SSLSocket's own would reset the TLS state under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()


def send(
    address: Address,
    body: bytes,
    headers: dict[str, str],
    context: ssl.SSLContext,
    getaddrinfo: Resolve = socket.getaddrinfo,
) -> Answer:
    """POST the body once, and return Sent, Failed or Gone.

    Sent is for a status of success, and Gone for 410: the receiver wants no
    more tries. All else is Failed, with the reason. Raises no exception. Only
    the response's status line and headers are read, whose size http.client
    limits, and not its body.
    """
    wire = Wire(TRY_SECONDS)
    try:
        numbers = _resolve(wire, address, getaddrinfo)
        with _in_time(wire):
            status = _post(wire, address, numbers, body, headers, context)
            _ = wire.left  # a head that was cut reads as a whole one
    except AddressError as error:
        return Failed(str(error))
    except ssl.SSLCertVerificationError as error:
        return Failed(f"TLS: {error.verify_message}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        if wire.is_over:
            return Failed(f"no answer in {TRY_SECONDS} s")
        return Failed(type(error).__name__)
    if status == GONE:
        return Gone()
    return Sent() if status in OK else Failed(f"HTTP {status}")


def _resolve(wire: Wire, address: Address, getaddrinfo: Resolve) -> list[str]:
    """Return the IP addresses of the host in ``address``, all public.

    On the local stack they may be private. Raises TimeoutError at the deadline
    of ``wire``, and AddressError if the host cannot be resolved or is not
    public. The lookup runs in a thread, because getaddrinfo has no time-out,
    and blocks for many seconds if the name server does not answer.
    """
    found: Future[list[str]] = Future()

    def resolve() -> None:
        try:
            found.set_result(addresses.resolve(address, getaddrinfo))
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            found.set_exception(error)

    Thread(target=resolve, daemon=True).start()
    return found.result(wire.left)


def _post(  # noqa: PLR0917 - the parts of one request
    wire: Wire,
    address: Address,
    numbers: list[str],
    body: bytes,
    headers: dict[str, str],
    context: ssl.SSLContext,
) -> int:
    connection = http.client.HTTPConnection(address.host, address.port)
    connection.sock = wire.connect(address, numbers, context)
    default = 443 if address.is_https else 80
    host = f"[{address.host}]" if ":" in address.host else address.host
    named = host if address.port == default else f"{host}:{address.port}"
    connection.request(
        "POST",
        address.target,
        body,
        {"host": named, "connection": "close", **headers},
    )
    answer = connection.getresponse()
    while answer.status in INTERIM:
        # http.client knows 100 alone. Read the next one from the same buffer.
        answer.headers = None  # type: ignore[assignment]
        answer.begin()
    answer.close()
    return answer.status


@contextmanager
def _in_time(wire: Wire) -> Iterator[None]:
    """Run the block, and cut the connection at the deadline of ``wire``.

    A receiver that sends one byte at a time would never exceed a socket's own
    time-out. The socket is closed at the end.
    """
    timer = Timer(wire.left, partial(Wire.cut, wire))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        wire.close()
