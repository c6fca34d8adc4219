"""Measures cold starts: imports each handler of the built artifact and makes its clients.

Each import runs in a fresh interpreter that has nothing else.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from functional.template import read

from bench.rows import Row
from bench.subjects import ENVIRONMENT, TEMPLATE
from infra.build.artifact import ARCHIVE, BUILD
from infra.local.paths import ROOT

ARTIFACT: Final = BUILD / "WebhookFunction"
ROUNDS: Final = 9
GOAL: Final = 1.1
MEGABYTE: Final = 1_000_000
ZIP_GOAL_MB: Final = 8
WITHOUT_STRIPE: Final = ("read_quota", "debit_quota", "authorize")
NATIVE: Final = (".so", ".pyd", ".dylib")
DYNAMO: Final = "import boto3; boto3.client('dynamodb')"
# The package loads its parts at their first use. The product uses these two.
STRIPE: Final = "import stripe; stripe.StripeClient; stripe.WebhookSignature"
SECRETS: Final = "boto3.client('secretsmanager')"
FLOORS: Final = {
    "a DynamoDB client": DYNAMO,
    "a DynamoDB client and stripe": f"{DYNAMO}; {STRIPE}",
    "a DynamoDB client, stripe and a client of Secrets Manager": f"{DYNAMO}; {STRIPE}; {SECRETS}",
}
FIRST_REQUEST: Final[Mapping[str, str]] = {
    "dynamodb:": "from billing.wiring.container import connect; connect()",
    "StripeKeySecret": "from billing import gateway; gateway.stripe.StripeClient",
}
"""What the first request of a container touches beside its handler, by what the template grants the
function."""
INIT_BY_LAMBDA: Final = {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}
"""Then importing a handler makes its clients, that of Secrets Manager too."""
SHOWN: Final = (
    "debit_quota",
    "list_payments",
    "webhook",
    "create_checkout",
    "reconcile",
    "public.serve_site",
    "public.list_plans",
)
"""One of each kind: its largest imports."""
LARGEST: Final = 6
PROBE: Final = ROOT / "tests" / "repo" / "probe.py"
PROGRAM: Final = """
import sys, time, json
sys.path.insert(0, {artifact!r})
began = time.process_time()
{code}
print(json.dumps([time.process_time() - began, 'stripe' in sys.modules]))
"""


def rows() -> Iterator[Row]:
    """Compare each handler with its floor: a DynamoDB client, and stripe where it needs that."""
    granted = {
        row["Handler"].rpartition(".")[0]: json.dumps(row.get("Policies", []))
        for row in _functions()
    }
    for name, policies in sorted(granted.items()):
        yield from _handler(name, policies)
    for name, policies in sorted(granted.items()):
        if "secretsmanager:" in policies:
            ratio = _ratio(
                _first_request(name, policies),
                FLOORS["a DynamoDB client, stripe and a client of Secrets Manager"],
                INIT_BY_LAMBDA,
            )
            yield Row(
                "cold",
                f"{name}, with its client of Secrets Manager, to a floor with one",
                ratio,
                "x",
                GOAL,
            )
    for name, code in FLOORS.items():
        yield Row(
            "cold", f"floor: {name}", min(_import(code)[0] for _ in range(ROUNDS)) * 1000, "ms"
        )
    yield Row(
        "cold", "artifact, zipped", (BUILD / ARCHIVE).stat().st_size / MEGABYTE, "MB", ZIP_GOAL_MB
    )
    yield Row(
        "cold",
        "native files in the artifact",
        sum(path.suffix in NATIVE for path in ARTIFACT.rglob("*")),
        "files",
        0,
    )
    yield from _snapshot(sorted(granted))
    for name in SHOWN:
        for module, milliseconds in _largest(name):
            yield Row("cold", f"largest imports of {name}: {module}", milliseconds, "ms")


def _functions() -> Iterator[dict[str, Any]]:
    yield from TEMPLATE.of_type("AWS::Serverless::Function").values()


def _first_request(name: str, policies: str) -> str:
    return "; ".join(
        [f"import {name}", *(code for grant, code in FIRST_REQUEST.items() if grant in policies)]
    )


def _handler(name: str, policies: str) -> Iterator[Row]:
    code = _first_request(name, policies)
    _, has_stripe = _import(code)
    floor = FLOORS["a DynamoDB client and stripe" if has_stripe else "a DynamoDB client"]
    yield Row(
        "cold",
        f"{name}{' (with stripe)' if has_stripe else ''}, to its floor",
        _ratio(code, floor),
        "x",
        GOAL,
    )
    if name in WITHOUT_STRIPE:
        yield Row("cold", f"{name} imports stripe", int(has_stripe), "times", 0)


def _ratio(code: str, floor: str, init: Mapping[str, str] | None = None) -> float:
    """Return the median ratio of pairs that ran one after the other.

    A machine that is slower for a while is slower for both of a pair.
    """
    pairs = [(_import(code, init)[0], _import(floor)[0]) for _ in range(ROUNDS + 1)][
        1:
    ]  # the first fills the disk's cache
    return statistics.median(mine / its for mine, its in pairs)


def _import(code: str, init: Mapping[str, str] | None = None) -> tuple[float, bool]:
    """CPU seconds in a fresh interpreter, and whether stripe was imported."""
    seconds, has_stripe = json.loads(
        _run(PROGRAM.format(artifact=str(ARTIFACT), code=code), init=init)
    )
    return seconds, has_stripe


def _run(program: str, *options: str, init: Mapping[str, str] | None = None) -> str:
    command = [sys.executable, "-I", "-S", "-B", *options, "-c", program]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**ENVIRONMENT, **(init or {})}
    )
    assert done.returncode == 0, done.stderr
    return done.stderr if options else done.stdout


def _snapshot(handlers: list[str]) -> Iterator[Row]:
    """Measure what a snapshot must not contain, and what the first request does instead.

    Yields nothing where the template does not offer snapshots.
    """
    if "SnapStart" not in read()["Parameters"]:
        return
    command = [sys.executable, "-I", "-S", "-B", str(PROBE), str(ARTIFACT), *handlers]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"AWS_DEFAULT_REGION": "us-east-1"}
    )
    yield Row(
        "cold",
        "SnapStart: things in a snapshot that no two containers may share",
        len(json.loads(done.stdout)),
        "things",
        0,
    )
    began = (
        "import debit_quota; from billing.wiring.container import connect; "
        "began = time.process_time(); connect()"
    )
    made = min(_import(began)[0] for _ in range(ROUNDS))
    yield Row(
        "cold",
        "SnapStart: what the first request does instead, a client of DynamoDB",
        made * 1000,
        "ms",
    )


def _largest(handler: str) -> list[tuple[str, float]]:
    """The packages that take longest, each with what it brings, by ``-X importtime``."""
    told = _run(
        PROGRAM.format(artifact=str(ARTIFACT), code=f"import {handler}"), "-X", "importtime"
    )
    found: dict[str, float] = {}
    for line in told.splitlines():
        own, _, module = (
            (part.strip() for part in line.removeprefix("import time:").split("|"))
            if line.count("|") == 2
            else ("", "", "")
        )
        if own.isdigit():
            package = module.partition(".")[0]
            found[package] = found.get(package, 0) + int(own) / 1000
    return sorted(found.items(), key=lambda pair: -pair[1])[:LARGEST]
