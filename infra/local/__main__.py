"""Runs the commands of the local stack, for the Makefile: ``python -m infra.local``."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from infra.local.paths import ROOT, LocalStackError, Paths

UP_SECONDS_MAX: Final = 240
DOWN_SECONDS_MAX: Final = 60

HINTS: Final = """
  Topup is up at {api_url}

  In a browser:   open {api_url}, sign in as alice, buy a plan, pay with a test card.
  On the command line, from this folder, in another terminal:

    TOKEN=$(make -s token SUB=alice)
    curl -s -X POST {api_url}/api/v1/payments/checkout \\
      -H "Authorization: Bearer $TOKEN" -d '{{"plan":"starter"}}'
        # open the "url" it answers and pay with a test card, or pay from here with the session_id:
    curl -s -X POST {stripe_api_base}/_control/sessions/SESSION_ID/pay -d '{{"method":"card"}}'
    curl -s {api_url}/api/v1/quota -H "Authorization: Bearer $TOKEN"

  All addresses and secrets of this local stack: {stand_file}
  Ctrl-C stops it and keeps the data; `make clean` forgets everything.
"""
HINTS_STRIPE: Final = """
  Topup is up at {api_url}, against Stripe itself.
  Webhooks come through the Stripe CLI, in another terminal:

    stripe listen --events {events} \\
      --forward-to {api_url}/api/v1/payments/webhook
"""


def main() -> int:
    """Parse and run the command. The exit code is 0 if it succeeded, otherwise 1."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("dev", "start the local stack in the foreground; Ctrl-C stops it and keeps the data"),
        ("up", "start it in the background and return when it answers"),
        ("down", "stop the one in the background"),
        ("build", "build the artifact and prove that every handler imports from it"),
    ):
        commands.add_parser(name, help=text)
    token = commands.add_parser("token", help="print a JWT of the local stack's issuer")
    token.add_argument("--sub", required=True, help="the user, for example alice")
    token.add_argument("--scope", default="", help="quota.write for the seller's backend")
    token.add_argument(
        "--ttl", type=int, default=3600, help="seconds; negative makes an expired one"
    )
    token.add_argument("--aud", default="topup", help="the audience; another one is refused")
    token.add_argument(
        "--claims", default="", help='more claims, as JSON: {"email_verified": true}'
    )
    chosen = parser.parse_args()
    actions: dict[str, Callable[[Paths, argparse.Namespace], int]] = {
        "dev": dev,
        "up": up,
        "down": down,
        "build": build,
        "token": make_token,
    }
    try:
        return actions[chosen.command](Paths.from_environment(), chosen)
    except LocalStackError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def dev(paths: Paths, _: argparse.Namespace) -> int:
    """Run the local stack in the foreground."""
    from infra.local.supervisor import serve  # noqa: PLC0415 - `token` and `down` do not need it

    _refuse_if_up(paths)
    return serve(paths, _say, lambda stand: _say(_hints(paths, stand)))


def up(paths: Paths, _: argparse.Namespace) -> int:
    """Start the local stack in the background, show its progress, and return when it answers."""
    if _running(paths):
        _say(f"already up: {paths.front_url}")
        return 0
    paths.state.mkdir(parents=True, exist_ok=True)
    paths.check_ports()
    paths.stand_file.unlink(missing_ok=True)
    with paths.log_file.open("wb") as log:
        command = [sys.executable, "-u", "-m", "infra.local", "dev"]
        child = subprocess.Popen(  # noqa: S603 - our own program
            command,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    paths.pid_file.write_text(str(child.pid))
    return _follow(paths, child)


def down(paths: Paths, _: argparse.Namespace) -> int:
    """Stop the local stack in the background with SIGTERM, so that it saves its data."""
    pid = _running(paths)
    if not pid:
        _say("not up")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS_MAX
    while _running(paths) and time.monotonic() < deadline:
        time.sleep(0.1)  # it is not our child, so we can only look for its process
    paths.pid_file.unlink(missing_ok=True)
    _say("stopped; the data is kept")
    return 0


def build(paths: Paths, _: argparse.Namespace) -> int:
    """Build the artifact, for `make build`."""
    from infra.build import artifact  # noqa: PLC0415 - see above

    _say("building ...")
    artifact.build(paths, always=True)
    _say(f"built {artifact.BUILD}: every handler imports from it, and it holds no native code")
    return 0


def make_token(paths: Paths, chosen: argparse.Namespace) -> int:
    """Print one JSON Web Token and nothing else."""
    from infra.local.issuer import Keys  # noqa: PLC0415 - see above

    if not paths.stand_file.exists():
        message = "the local stack is not up: start it with `make dev` or `make up`"
        raise LocalStackError(message)
    stand = json.loads(paths.stand_file.read_text())
    keys = Keys(paths.state / "issuer.pem", stand["issuer_url"])
    more = _claims(chosen.claims)
    token = keys.token(chosen.sub, chosen.scope, chosen.ttl, chosen.aud, **more)
    sys.stdout.write(token + "\n")
    return 0


def _claims(text: str) -> dict[str, Any]:
    """Return the claims that the caller adds. Raises LocalStackError for what is no JSON object."""
    try:
        claims = json.loads(text or "{}")
    except ValueError:
        claims = None
    if not isinstance(claims, dict) or set(claims) & {"subject", "scope", "ttl", "audience"}:
        message = "CLAIMS must be a JSON object of other claims, like '{\"email_verified\":true}'"
        raise LocalStackError(message)
    return claims


def _follow(paths: Paths, child: "subprocess.Popen[bytes]") -> int:
    """Show the log of ``child`` until it answers. Raises LocalStackError if it does not."""
    shown, deadline = 0, time.monotonic() + UP_SECONDS_MAX
    while time.monotonic() < deadline:
        text = paths.log_file.read_text()
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
        if paths.stand_file.exists():
            return 0
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.1)  # it is starting; meanwhile its log is shown
            message = f"the local stack did not start; see {paths.log_file}"
            raise LocalStackError(message)
    message = f"the local stack was not ready after {UP_SECONDS_MAX} s; see {paths.log_file}"
    raise LocalStackError(message)


def _running(paths: Paths) -> int:
    """Return the supervisor's process id, or 0 when it does not run."""
    try:
        pid = int(paths.pid_file.read_text())
        os.kill(pid, 0)
        # A zombie has no command line, and another program may have the same number.
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if b"infra.local" in words else 0


def _refuse_if_up(paths: Paths) -> None:
    pid = _running(paths)
    if pid and pid != os.getpid():
        where = f"{paths.front_url} (process {pid})"
        message = f"the local stack is already up at {where}; stop it with `make down`"
        raise LocalStackError(message)


def _hints(paths: Paths, stand: dict[str, Any]) -> str:
    if stand["stripe_api_base"] == paths.stripe_url:
        return HINTS.format(**stand, stand_file=paths.stand_file)
    sys.path.insert(0, str(ROOT / "functions"))
    from billing.stripe_api.events import SUBSCRIBED  # noqa: PLC0415 - the product's own list

    return HINTS_STRIPE.format(**stand, events=",".join(SUBSCRIBED))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
