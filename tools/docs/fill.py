"""Fills the generated blocks of the Markdown pages, or checks them: ``python -m tools.docs.fill``.

A block stands between two comments that cog reads (https://cog.readthedocs.io).
``--check`` changes no file and exits with 1 where a block is stale.
``--runs`` also fills the blocks whose text comes from a run; otherwise they stay as they are.
"""

import os
import sys
from pathlib import Path
from typing import Final

from cogapp import Cog

from bench import page as bench_page
from infra.local.paths import ROOT
from tools.docs.figures import FROM_RUNS, benchmarks

PROLOGUE: Final = "from tools.docs.blocks import *; from tools.docs.figures import *"
REMEDY: Final = "A page is stale: run `make fill` and commit what it changes."


def pages() -> list[Path]:
    """Return the pages in docs/ that have a generated block."""
    written = (ROOT / "docs").rglob("*.md")
    return sorted(page for page in written if "<!-- [[[cog" in page.read_text())


def main(arguments: list[str]) -> int:
    """Fill or check all pages and return the exit code."""
    if "--runs" in arguments:
        os.environ[FROM_RUNS] = "1"
        if figures := benchmarks():
            bench_page.PICTURE.write_text(bench_page.picture(figures))
    mode = ["-r"]
    if "--check" in arguments:
        mode = ["--check", "--diff", f"--check-fail-msg={REMEDY}"]
    names = [str(page.relative_to(ROOT)) for page in pages()]
    os.chdir(ROOT)
    code = Cog().main(["cog", "-P", "-U", "-p", PROLOGUE, "--verbosity=1", *mode, *names])
    return int(code or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
