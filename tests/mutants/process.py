"""Starts pytest with our plugin, on the copy."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from mutants.modules import FILES


def start(
    root: Path, task: Mapping[str, Any], tests: Sequence[str], log: IO[str]
) -> "subprocess.Popen[str]":
    """Start pytest with our plugin."""
    file = Path(log.name).with_suffix(".json")
    file.write_text(json.dumps({"root": str(root), "files": FILES, **task}), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "mutants.inside",
        f"--faults={file}",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-x",
    ]
    path = f"{root / 'tests'}:{root}"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "HOME": str(root),
        "PYTHONPATH": path,
    }
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return subprocess.Popen(
        [*command, *tests],
        cwd=root,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
    )
