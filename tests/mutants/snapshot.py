"""A copy of the product and its tests, so that no working tree is touched and no change under way
disturbs a run.
"""

import shutil
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
COPIED: Final = (
    "client",
    "functions",
    "tests",
    "infra",
    "tools",
    "bench",
    "template.yaml",
    "pyproject.toml",
    "docs",
    "README.md",
    "Makefile",
)
LINKED: Final = (".venv", ".local/venvs")
"""Not the rest of .local: a test under a mutant must not write its figures over the true ones."""


def snapshot(folder: Path) -> Path:
    """Copy the product and its tests as they are now into a new folder, and return it."""
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name,
                folder / name,
                ignore=shutil.ignore_patterns("__pycache__", "node_modules"),
            )
        else:
            shutil.copy(ROOT / name, folder / name)
    for name in LINKED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    return folder
