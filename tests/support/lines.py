"""Lines that a handler logged in this process, and metrics that it wrote."""

import json
import logging
from typing import Any, Final

import pytest

USUAL: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "levelname"}


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """All lines so far: level, message, members, and whether a traceback is there."""
    found = [
        {
            "level": record.levelname,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in USUAL},
            **({"traceback": True} if record.exc_info else {}),
        }
        for record in caplog.records
    ]
    caplog.clear()
    return found


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Metrics, in CloudWatch's embedded format."""
    lines = [line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    return [json.loads(line) for line in lines]


def counted(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """The figures of metrics that were written since the last call, by name."""
    return {
        metric["Name"]: line[metric["Name"]]
        for line in printed(capsys)
        for found in line["_aws"]["CloudWatchMetrics"]
        for metric in found["Metrics"]
    }
