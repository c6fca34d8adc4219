"""Defines the folder and the ports of a local stack. Environment variables can change them."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
REGION: Final = "us-east-1"
STACK: Final = "topup-local"
AUDIENCE: Final = "topup"
PORT_VARIABLES: Final = {
    "front": ("TOPUP_PORT", 8080),
    "stripe": ("TOPUP_STRIPE_PORT", 8081),
    "issuer": ("TOPUP_ISSUER_PORT", 8082),
    "aws": ("TOPUP_AWS_PORT", 8083),
}


class LocalStackError(Exception):
    """The local stack cannot start. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Holds the state folder, the tools folder and the ports of one local stack.

    From these it derives the addresses and file paths.
    """

    state: Path
    tools: Path
    front: int
    stripe: int
    issuer: int
    aws: int

    @classmethod
    def from_environment(cls) -> "Paths":
        """Return the paths from TOPUP_STATE_DIR and a variable for each port.

        The defaults suit one local stack per checkout.
        """
        state = Path(os.environ.get("TOPUP_STATE_DIR", ROOT / ".local")).resolve()
        tools = Path(os.environ.get("TOPUP_TOOLS_DIR", ROOT / ".local" / "venvs")).resolve()
        ports = {
            name: int(os.environ.get(variable, str(usual)))
            for name, (variable, usual) in PORT_VARIABLES.items()
        }
        return cls(state=state, tools=tools, **ports)

    @property
    def stand_file(self) -> Path:
        """Return the path of stand.json, with the local stack's addresses and secrets."""
        return self.state / "stand.json"

    @property
    def pid_file(self) -> Path:
        """Return the path of the file with the supervisor's process id."""
        return self.state / "stand.pid"

    @property
    def log_file(self) -> Path:
        """Return the path of the log of a local stack in the background."""
        return self.state / "stand.log"

    @property
    def clock_file(self) -> Path:
        """Return the path of the file with the seconds by which the local clocks are ahead."""
        return self.state / "clock"

    @property
    def front_url(self) -> str:
        """Return the base address of the product's web page and API on the local stack."""
        return f"http://localhost:{self.front}"

    @property
    def aws_url(self) -> str:
        """Return the address of the embedded AWS."""
        return f"http://127.0.0.1:{self.aws}"

    @property
    def issuer_url(self) -> str:
        """Return the address of the OIDC issuer."""
        return f"http://127.0.0.1:{self.issuer}"

    @property
    def stripe_url(self) -> str:
        """Return the address of the Stripe simulator."""
        return f"http://127.0.0.1:{self.stripe}"

    @property
    def notify_url(self) -> str:
        """Return the URL to which the local stack sends its events to the seller.

        The port is the Stripe simulator's, where they are received for inspection.
        """
        return f"{self.stripe_url}/_events"

    def environment(self) -> dict[str, str]:
        """Return the environment for AWS tools that talk to the local stack.

        The caller's own AWS and Stripe variables are removed.
        """
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "STRIPE_"))
        }
        return {
            **kept,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local stack."""
        import boto3  # noqa: PLC0415 - `token` and `down` do not need it

        return boto3.client(
            service,
            endpoint_url=self.aws_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the embedded AWS knows no other
        )

    def check_ports(self) -> None:
        """Raise LocalStackError for the first port in use.

        The message names the environment variable that changes the port.
        """
        for name, (variable, _) in PORT_VARIABLES.items():
            port = getattr(self, name)
            if not is_free(port):
                advice = f"stop what uses it, or choose another with {variable}=<port>"
                raise LocalStackError(f"port {port} ({name}) is taken: {advice}")


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
