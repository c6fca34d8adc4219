"""``python -m infra.local``: the stand's commands, as the Makefile calls them."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from infra.local.paths import ROOT, LocalStackError, Paths

UP_SECONDS_MAX: Final = 240
DOWN_SECONDS_MAX: Final = 60

HINTS: Final = """
  Topup is up at {api_url}

  In a browser:   open {api_url}, sign in as alice, buy a plan, pay with a test card.
  On the command line, from this folder, in another terminal:

    TOKEN=$(make -s token SUB=alice)
    curl -s -X POST {api_url}/api/v1/payments/checkout -H "Authorization: Bearer $TOKEN" -d '{{"plan":"starter"}}'
        # open the "url" it answers and pay with a test card, or pay from here with the session_id:
    curl -s -X POST {stripe_api_base}/_control/sessions/SESSION_ID/pay -d '{{"method":"card"}}'
    curl -s {api_url}/api/v1/quota -H "Authorization: Bearer $TOKEN"

  Everything the stand knows about itself: {stand_file}
  Ctrl-C stops it and keeps the data; `make clean` forgets everything.
"""
HINTS_STRIPE: Final = """
  Topup is up at {api_url}, against Stripe itself. Webhooks come through the Stripe CLI, in another terminal:

    stripe listen --events {events} \\
      --forward-to {api_url}/api/v1/payments/webhook
"""


def main() -> int:
    """Parse the command and run it. Exit codes: 0 done, 1 could not."""
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("dev", "start the stand in the foreground; Ctrl-C stops it and keeps the data"),
        ("up", "start it in the background and return when it answers"),
        ("down", "stop the one in the background"),
        ("build", "build the artifact and prove that every handler imports from it"),
    ):
        commands.add_parser(name, help=text)
    token = commands.add_parser("token", help="print a JWT of the stand's issuer")
    token.add_argument("--sub", required=True, help="who it is for, as alice")
    token.add_argument("--scope", default="", help="quota.write for the seller's backend")
    token.add_argument(
        "--ttl", type=int, default=3600, help="seconds; negative makes an expired one"
    )
    token.add_argument("--aud", default="topup", help="the audience; another one is refused")
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


def dev(places: Paths, _: argparse.Namespace) -> int:
    """The whole set-up in the foreground."""
    from infra.local.supervisor import serve  # noqa: PLC0415 - `token` and `down` need none of it

    _refuse_if_up(places)
    return serve(places, _say, lambda stand: _say(_hints(places, stand)))


def up(places: Paths, _: argparse.Namespace) -> int:
    """Start in the background, show its progress, return when it answers."""
    if _running(places):
        _say(f"already up: {places.front_url}")
        return 0
    places.state.mkdir(parents=True, exist_ok=True)
    places.check_ports()
    places.stand_file.unlink(missing_ok=True)
    with places.log_file.open("wb") as log:
        command = [sys.executable, "-u", "-m", "infra.local", "dev"]
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    places.pid_file.write_text(str(child.pid))
    return _follow(places, child)


def down(places: Paths, _: argparse.Namespace) -> int:
    """Stop the one in the background, kindly, by its own process id."""
    pid = _running(places)
    if not pid:
        _say("not up")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + DOWN_SECONDS_MAX
    while _running(places) and time.monotonic() < deadline:
        time.sleep(
            0.1
        )  # it saves its data, and is no child of ours: its pid is all there is to look at
    places.pid_file.unlink(missing_ok=True)
    _say("stopped; the data is kept")
    return 0


def build(places: Paths, _: argparse.Namespace) -> int:
    """For `make build`."""
    from infra.build import artifact  # noqa: PLC0415 - see above

    _say("building ...")
    artifact.build(places, always=True)
    _say(f"built {artifact.BUILD}: every handler imports from it, and it holds no native code")
    return 0


def make_token(places: Paths, chosen: argparse.Namespace) -> int:
    """Print one JWT and nothing else."""
    from infra.local.issuer import Keys  # noqa: PLC0415 - see above

    if not places.stand_file.exists():
        message = "the stand is not up: start it with `make dev` or `make up`"
        raise LocalStackError(message)
    stand = json.loads(places.stand_file.read_text())
    keys = Keys(places.state / "issuer.pem", stand["issuer_url"])
    sys.stdout.write(keys.token(chosen.sub, chosen.scope, chosen.ttl, chosen.aud) + "\n")
    return 0


def _follow(places: Paths, child: "subprocess.Popen[bytes]") -> int:
    shown, deadline = 0, time.monotonic() + UP_SECONDS_MAX
    while time.monotonic() < deadline:
        text = places.log_file.read_text()
        sys.stdout.write(text[shown:])
        sys.stdout.flush()
        shown = len(text)
        if places.stand_file.exists():
            return 0
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.1)  # it is starting: what it writes into its log is shown as it comes
            message = f"the stand did not start; see {places.log_file}"
            raise LocalStackError(message)
    message = f"the stand was not ready after {UP_SECONDS_MAX} s; see {places.log_file}"
    raise LocalStackError(message)


def _running(places: Paths) -> int:
    """The supervisor's process id, 0 when there is none."""
    try:
        pid = int(places.pid_file.read_text())
        os.kill(pid, 0)
        # A zombie of ours has ended, and another program may have its number.
        words = (ROOT.__class__(f"/proc/{pid}/cmdline")).read_bytes().split(b"\0")
    except (OSError, ValueError):
        return 0
    return pid if b"infra.local" in words else 0


def _refuse_if_up(places: Paths) -> None:
    pid = _running(places)
    if pid and pid != os.getpid():
        message = f"the stand is up already at {places.front_url} (process {pid}); stop it with `make down`"
        raise LocalStackError(message)


def _hints(places: Paths, stand: dict[str, Any]) -> str:
    if stand["stripe_api_base"] == places.stripe_url:
        return HINTS.format(**stand, stand_file=places.stand_file)
    sys.path.insert(0, str(ROOT / "functions"))
    from billing.stripe_api.events import SUBSCRIBED  # noqa: PLC0415 - the product's own list

    return HINTS_STRIPE.format(**stand, events=",".join(SUBSCRIBED))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
