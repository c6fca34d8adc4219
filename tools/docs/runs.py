"""Runs the commands that docs/operations.md shows on a local stack, and records what they print.

A page names a command with placeholders (``payment PAYMENT``); this file knows the ids of the run.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from support.stand import Stand, running

from infra.local.paths import ROOT
from tools.docs.figures import COMMANDS

WIDTH: Final = "100"
ATTEMPTS_MAX: Final = 20
MISMATCH: Final = "evt_made_up_for_this_page"


def _commands(stand: Stand) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield each command with the values of its placeholders, after preparing what it finds."""
    bought = stand.purchase("alice")
    _spend(stand, 7)
    _lose(stand, "bob")
    yield "connect --dry-run", {}
    yield "doctor", {}
    yield "account alice", {}
    yield "payments --limit 5", {}
    yield "payment PAYMENT --user alice", {"PAYMENT": bought["payment_id"]}
    yield 'grant alice 50 --reason "an apology" --id 1 --yes', {}
    told = json.loads(_printed(stand, "events list --user alice --json"))["events"][0]["id"]
    yield "events list --user alice", {}
    yield "events show EVENT", {"EVENT": told}
    yield "events resend EVENT --yes", {"EVENT": told}
    yield "reconcile --since 1h", {}
    yield "reconcile --since 1h --repair --yes", {}
    _mismatch(stand, bought)
    yield "parked", {}
    yield "parked list", {}
    yield f"parked retry {MISMATCH} --yes", {}
    yield f"parked drop {MISMATCH} --reason refunded --yes", {}
    event = stand.events("checkout.session.completed", bought["session_id"])[0]
    yield "replay EVENT --yes", {"EVENT": event["id"]}
    yield "ledger verify", {}
    _unpay(stand, bought)
    yield "ledger verify --repair --yes", {}
    yield "ledger export --format csv", {}
    key = stand.call("POST", "/keys", sub="alice", body={"name": "shop"}).json()
    second = _restore(stand)
    yield "restore --at SECOND --yes", {"SECOND": second}
    stand.call("DELETE", f"/keys/{key['key_id']}", sub="alice")
    yield "switch --to SECOND --dry-run", {"SECOND": second}
    yield "watch --once", {}


def _spend(stand: Stand, units: int) -> None:
    body = {"user_id": "alice", "units": units}
    stand.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body)


def _lose(stand: Stand, user: str) -> None:
    """Let a customer pay while every webhook delivery is lost."""
    stand.control("deliveries", drop=1)
    stand.pay(stand.buy(user)["session_id"])
    stand.control("deliveries", drop=0)


def _mismatch(stand: Stand, bought: Mapping[str, Any]) -> None:
    """Deliver a second paid session for one payment, which is parked for an operator."""
    event = stand.events("checkout.session.completed", bought["session_id"])[0]
    event["id"] = MISMATCH
    event["data"]["object"]["id"] = "cs_test_made_up_for_this_page"
    stand.deliver(event)


def _unpay(stand: Stand, bought: Mapping[str, Any]) -> None:
    """Leave the payments table as a restore of that table alone to an earlier moment leaves it."""
    stand.boto("dynamodb").update_item(
        TableName=stand.resources()["PaymentsTable"],
        Key={"owner": {"S": "user#alice"}, "id": {"S": bought["payment_id"]}},
        UpdateExpression="SET phase = :p, #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":p": {"N": "0"}, ":s": {"S": "pending"}},
    )


def _restore(stand: Stand) -> str:
    """Restore the tables and return the second.

    The embedded AWS can restore to the current second alone, which may end between two questions.
    """
    on = {"PointInTimeRecoveryEnabled": True}
    for name in stand.resources().values():
        if "Table-" in name:
            stand.boto("dynamodb").update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification=on
            )
    for _ in range(ATTEMPTS_MAX):
        printed = _printed(stand, "restore --at latest --yes")
        if found := re.search(r"topup switch --to (\S+)", printed):
            return found[1]
    raise AssertionError("the second always ended")


def _printed(stand: Stand, command: str) -> str:
    """Run one command and return what it printed, with its exit code if that is not 0."""
    environment = {
        **os.environ,
        "TOPUP_STATE_DIR": str(stand.state),
        "COLUMNS": WIDTH,
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "TERM": "dumb",
    }
    done = subprocess.run(
        [sys.executable, "-m", "infra.cli", *shlex.split(command)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    text = re.sub(r"(127\.0\.0\.1|localhost):\d+", "localhost:8080", "\n".join(lines).strip())
    if done.returncode:
        text += f"\n[exit code {done.returncode}]"
    return text


def _filled(command: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        command = command.replace(name, value)
    return command


def main() -> None:
    """Start a local stack, run every command, record what each printed."""
    found: dict[str, str] = {}
    with running() as stand:
        for command, values in _commands(stand):
            filled = _filled(command, values)
            found[command] = f"$ topup {filled}\n{_printed(stand, filled)}"
    COMMANDS.parent.mkdir(parents=True, exist_ok=True)
    COMMANDS.write_text(json.dumps(found, indent=1) + "\n")
    sys.stdout.write(f"{COMMANDS.relative_to(ROOT)} has {len(found)} commands\n")


if __name__ == "__main__":
    main()
