"""``python -m infra.stripe_simulator``: the simulator alone, from the command line."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from simulator.lab import FORM, KEY

from infra.stripe_simulator.__main__ import main

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "infra.stripe_simulator"]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_the_command_serves_and_a_stop_keeps_the_data(tmp_path: Path) -> None:
    """It says where it is and which key it takes; SIGINT ends it kindly."""
    port = _free_port()
    arguments = [
        *COMMAND,
        "--port",
        str(port),
        "--state",
        str(tmp_path / "s.sqlite"),
        "--secret-key",
        KEY,
    ]
    found = []
    for _ in range(2):
        with subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            told = [process.stdout.readline() for _ in range(3)]
            assert told[0] == f"Stripe, simulated, at http://127.0.0.1:{port}\n"
            assert KEY in told[1]
            with httpx.Client(
                auth=(KEY, ""), transport=httpx.HTTPTransport(retries=8), trust_env=False
            ) as http:
                url = f"http://127.0.0.1:{port}/v1/checkout/sessions"
                found.append([row["id"] for row in http.get(url).json()["data"]])
                found[-1].append(http.post(url, data=FORM).json()["id"])
            process.send_signal(signal.SIGINT)
            _, complaints = process.communicate(timeout=20)
            assert "Traceback" not in complaints
    assert found[0] == [found[1][0]]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "examples:"),
        (["--webhook", "nowhere"], 2, "must be URL=SECRET"),
        (["--webhook", "http://127.0.0.1:9/=secret"], 2, "must be URL=SECRET"),
    ],
    ids=["help", "no address", "no secret"],
)
def test_the_command_teaches(
    arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """--help with examples that can be copied; a wrong argument with what is right."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == code
    assert told in "".join(capsys.readouterr())
