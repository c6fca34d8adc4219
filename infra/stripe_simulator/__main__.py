"""Serves the simulator alone: ``python -m infra.stripe_simulator --help``."""

import argparse
import secrets
import sys
from pathlib import Path
from typing import Final

import uvicorn

from infra.stripe_simulator.app import create_app
from infra.stripe_simulator.settings import Settings, WebhookTarget

DESCRIPTION: Final = """
A small, strict simulator of Stripe: API, hosted checkout page, signed webhooks, control API.
It listens on 127.0.0.1 only.
"""
EXAMPLES: Final = """
examples:
  python -m infra.stripe_simulator --port 8081 --secret-key sk_test_mine \\
    --webhook http://127.0.0.1:8080/hook=whsec_mine
  curl http://127.0.0.1:8081/v1/checkout/sessions -u sk_test_mine: \\
    -d mode=payment -d success_url=http://127.0.0.1:8080/ \\
    -d 'line_items[0][quantity]=1' -d 'line_items[0][price_data][currency]=usd' \\
    -d 'line_items[0][price_data][unit_amount]=999' \\
    -d 'line_items[0][price_data][product_data][name]=Quota'
  curl -X POST http://127.0.0.1:8081/_control/sessions/SESSION_ID/pay -d '{"method":"card"}'
"""


def main(arguments: list[str] | None = None) -> int:
    """Serve the simulator of Stripe until a signal stops it. Returns the exit code 0."""
    chosen = _parser().parse_args(arguments)
    key = chosen.secret_key or f"sk_test_{secrets.token_hex(16)}"
    base_url = f"http://127.0.0.1:{chosen.port}"
    app = create_app(Settings(base_url, key, tuple(chosen.webhook), chosen.state))
    sys.stdout.write(f"Stripe, simulated, at {base_url}\nsecret key: {key}\n")
    sys.stdout.write(f"Ctrl-C stops it; the data is in {chosen.state}\n")
    sys.stdout.flush()
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=chosen.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.stripe_simulator",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=int, default=8081, help="where to listen (default: %(default)s)"
    )
    parser.add_argument(
        "--state",
        type=_file,
        default=":memory:",
        metavar="FILE",
        help="store the data in this file (default: it is lost when the simulator stops)",
    )
    parser.add_argument(
        "--secret-key",
        default="",
        metavar="KEY",
        help="the API key to accept (default: a new one, printed)",
    )
    parser.add_argument(
        "--webhook",
        type=_target,
        action="append",
        default=[],
        metavar="URL=SECRET",
        help="deliver all events to this endpoint; may be repeated",
    )
    return parser


def _file(text: str) -> Path | str:
    return text if text == ":memory:" else Path(text)


def _target(text: str) -> WebhookTarget:
    url, _, secret = text.rpartition("=")
    if not url.startswith(("http://", "https://")) or not secret.startswith("whsec_"):
        message = f"{text!r} must be URL=SECRET, as http://127.0.0.1:8080/hook=whsec_mine"
        raise argparse.ArgumentTypeError(message)
    return WebhookTarget(url, secret)


if __name__ == "__main__":
    sys.exit(main())
