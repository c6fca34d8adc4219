"""Fuzzes a stand by the API's own description: ``make fuzz`` for minutes,
tests/e2e/test_openapi_fuzz.py for seconds.
"""

import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from string import Template
from typing import Final

from support.stand import API, Stand, running

SETTINGS: Final = Path(__file__).with_name("schemathesis.toml")
PROGRAM: Final = Path(sys.executable).with_name("st")


def fuzz(stand: Stand, *options: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with tokens of each kind, for a customer who has units, a payment, a hold
    and a key. Its report is the output.
    """
    customer = f"fuzzed-{uuid.uuid4().hex[:8]}"
    bought = stand.purchase(customer, "enterprise")
    hold = {"user_id": customer, "units": 1000, "expires_in_seconds": 3600}
    held = stand.call("POST", "/quota/holds", sub="backend", scope="quota.write", body=hold).json()
    key = stand.call("POST", "/keys", sub=customer, body={"name": "fuzzed"}).json()
    settings = Template(SETTINGS.read_text()).substitute(
        user_token=stand.token(customer),
        service_token=stand.token("backend", "quota.write"),
        granter_token=stand.token("backend", "quota.grant"),
        api_key=key["key"],
        customer=customer,
        payment=bought["payment_id"],
        session=bought["session_id"],
        hold=held["hold_id"],
    )
    # From a file: of a description that it has fetched it leaves out the operation that answers
    # with it.
    command = [
        str(PROGRAM),
        "run",
        "openapi.json",
        "--url",
        f"{stand.api_url}{API}",
        "--no-color",
        *options,
    ]
    with tempfile.TemporaryDirectory(
        prefix="topup-fuzz-"
    ) as folder:  # it leaves its findings where it stands
        Path(folder, "schemathesis.toml").write_text(settings)
        Path(folder, "openapi.json").write_text(stand.call("GET", "/openapi.json").text)
        return subprocess.run(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def main(seconds: str) -> int:
    """Fuzz a stand of its own for so long. The exit code is schemathesis's."""
    with running() as stand:
        sys.stdout.write(f"fuzzing for {seconds} s ...\n")
        sys.stdout.flush()
        done = fuzz(stand, "--max-time", seconds)
    sys.stdout.write(done.stdout)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
