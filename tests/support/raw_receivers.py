"""Receivers of events out that answer by raw sockets, as a test says."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Act = Callable[[socket.socket], None]
Serve = Callable[..., "Server"]


class Server:
    """Accepts connections and lets ``act`` deal with each."""

    def __init__(self, act: Act, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port."""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.connections = 0
        self._act, self._tls = act, tls
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._act(connection)
        except OSError:
            pass
        finally:
            connection.close()


@contextmanager
def serving() -> Iterator[Serve]:
    """Start servers, and stop them at the end."""
    servers: list[Server] = []

    def start(act: Act, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(act, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.listening.close()


def read(connection: socket.socket) -> bytes:
    """One request, whose body is JSON."""
    found = b""
    while b"\r\n\r\n" not in found or not found.endswith(b"}"):
        part = connection.recv(65536)
        if not part:
            break
        found += part
    return found
