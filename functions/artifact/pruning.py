"""Deletes unused files from the artifact, because each file makes a cold start slower."""

import json
import shutil
from pathlib import Path
from typing import Final

SERVICES_KEPT: Final = frozenset(
    {"dynamodb", "events", "sqs", "secretsmanager", "sts"}
)
"""The AWS services that functions call. botocore has descriptions of 400
others.
"""
UNUSED: Final = (
    "boto3/examples",
    "stripe/params",  # types alone: the SDK imports them for type checkers only
    "stripe/events",  # of the thin events, which no function is sent
    "aws_lambda_powertools/event_handler",
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in (
            "auth_alpha",
            "batch",
            "circuit_breaker",
            "data_classes",
            "data_masking",
            "feature_flags",
            "idempotency",
            "kafka",
        )
    ),
    *(
        f"aws_lambda_powertools/utilities/{name}"
        for name in ("parameters", "parser", "streaming", "validation")
    ),
)
"""Parts of packages that no function uses. They are half of all files, and
each file makes a cold start slower.
"""


def prune(folder: Path) -> None:
    """Delete parts of packages that no function uses.

    Among them are botocore's data of AWS services that no function calls.
    """
    for package in ("botocore", "boto3"):
        for path in sorted((folder / package / "data").iterdir()):
            if path.is_dir() and path.name not in SERVICES_KEPT:
                shutil.rmtree(path)
    prune_endpoints(folder / "botocore" / "data" / "endpoints.json")
    for unused in UNUSED:
        shutil.rmtree(folder / unused, ignore_errors=True)


def prune_endpoints(file: Path) -> None:
    """Delete the URLs of unused AWS services from botocore's endpoints.

    ``file`` is botocore's endpoints.json. Every boto3 session reads it
    before it makes its first client. It has 1.2 MB with all services in
    all regions.
    """
    addresses = json.loads(file.read_text())
    for partition in addresses["partitions"]:
        partition["services"] = {
            name: found
            for name, found in partition["services"].items()
            if name in SERVICES_KEPT
        }
    file.write_text(json.dumps(addresses, separators=(",", ":")))
