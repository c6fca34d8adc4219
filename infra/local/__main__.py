"""Runs the commands of the local stack, for the Makefile: ``python -m infra.local``."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any, Final

from infra.local.background import down, refuse_if_up, say, up
from infra.local.paths import ROOT, LocalStackError, Paths

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
    """Run one command of the local stack, for example ``up``, and return its exit code.

    ``sys.argv`` has the command. The exit code is 0 if it succeeded, otherwise 1.
    """
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

    refuse_if_up(paths)
    return serve(paths, say, lambda stand: say(_hints(paths, stand)))


def build(paths: Paths, _: argparse.Namespace) -> int:
    """Build the functions' package for Lambda, even if it is up to date, and return 0."""
    from infra.build import artifact  # noqa: PLC0415 - see above

    say("building ...")
    artifact.build(paths, always=True)
    say(f"built {artifact.BUILD}: every handler imports from it, and it holds no native code")
    return 0


def make_token(paths: Paths, chosen: argparse.Namespace) -> int:
    """Print a JSON Web Token of the local stack's issuer and nothing else. Returns 0.

    ``chosen`` has the options, for example the user. Raises LocalStackError if the local stack is
    not up.
    """
    from infra.local.signing_keys import Keys  # noqa: PLC0415 - see above

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
    """Return the token's extra claims: ``text`` is a JSON object, or "" for none.

    Raises LocalStackError for any other text, and for a claim named ``subject``, ``scope``, ``ttl``
    or ``audience``, which have other options.
    """
    try:
        claims = json.loads(text or "{}")
    except ValueError:
        claims = None
    if not isinstance(claims, dict) or set(claims) & {"subject", "scope", "ttl", "audience"}:
        message = "CLAIMS must be a JSON object of other claims, like '{\"email_verified\":true}'"
        raise LocalStackError(message)
    return claims


def _hints(paths: Paths, stand: dict[str, Any]) -> str:
    if stand["stripe_api_base"] == paths.stripe_url:
        return HINTS.format(**stand, stand_file=paths.stand_file)
    sys.path.insert(0, str(ROOT / "functions"))
    from billing.stripe_api.events import SUBSCRIBED  # noqa: PLC0415 - the product's own list

    return HINTS_STRIPE.format(**stand, events=",".join(SUBSCRIBED))


if __name__ == "__main__":
    raise SystemExit(main())
