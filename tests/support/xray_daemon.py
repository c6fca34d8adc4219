"""X-Ray's daemon as Lambda runs it beside a function."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from aws_lambda_powertools import Tracer
from aws_xray_sdk import global_sdk_config
from aws_xray_sdk.core import xray_recorder
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from aws_xray_sdk.core.lambda_launcher import LambdaContext
from billing import tracing

TRACE: Final = "1-5759e988-bd862e3fe1be46a994272793"
LAMBDAS: Final = "53995c3f42cd8ad8"
"""The segment that Lambda made."""
Sent = Callable[[], list[dict[str, Any]]]


@contextmanager
def listening_daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """A socket, to which this process sends from now on.

    Gives what has been sent to it since the last call.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.setblocking(False)  # noqa: FBT003 - the standard library's own form
        _as_in_lambda(monkeypatch, f"127.0.0.1:{listening.getsockname()[1]}")
        yield lambda: list(_received(listening))
        xray_recorder.emitter._socket.close()
        Tracer._reset_config()  # type: ignore[no-untyped-call]
        tracing.tracer.cache_clear()


def _as_in_lambda(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """The SDK looks at the environment when it is imported; that was long ago here."""
    monkeypatch.setenv("LAMBDA_TASK_ROOT", "/var/task")
    monkeypatch.setenv("POWERTOOLS_TRACE_DISABLED", "false")
    monkeypatch.setenv(tracing.HEADER, f"Root={TRACE};Parent={LAMBDAS};Sampled=1")
    Tracer._reset_config()  # type: ignore[no-untyped-call]
    tracing.tracer.cache_clear()
    global_sdk_config.set_sdk_enabled(True)
    xray_recorder.configure(context=LambdaContext(), emitter=UDPEmitter(address))


def _received(listening: socket.socket) -> Iterator[dict[str, Any]]:
    while True:
        try:
            header, _, document = listening.recv(65_536).partition(b"\n")
        except BlockingIOError:
            return
        assert json.loads(header) == {"format": "json", "version": 1}
        yield json.loads(document)
