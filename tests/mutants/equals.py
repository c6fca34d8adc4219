"""Reads equivalent.toml: faults that no test can notice, each with its reason, named by what they
change and not by their line.
"""

import tomllib
from pathlib import Path
from typing import Final

from mutants.fault import bare

FILE: Final = Path(__file__).with_name("equivalent.toml")


def load() -> dict[tuple[str, str, str], str]:
    """Return the reason for each: by file, function and change."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8")).get("equivalent", [])
    return {(row["file"], row["function"], bare(row["change"])): row["why"] for row in rows}
