"""Installs the locked packages, the same bytes on every machine."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Final

PIP: Final = (
    *("download", "--quiet", "--disable-pip-version-check"),
    # The lock is whole: pip resolves nothing, and refuses a file whose hash is not in it.
    *("--no-deps", "--require-hashes"),
    # Wheels without native code run on every processor and every Python, and need no compiler here.
    # https://pip.pypa.io/en/stable/cli/pip_download/#cmdoption-platform
    *("--only-binary", ":all:", "--platform", "any"),
)


def install(lock: Path, folder: Path) -> None:
    """Download every package that ``lock`` names, and unpack it.

    It is unpacked into ``folder``. Exits with pip's own message if pip
    fails.
    """
    with tempfile.TemporaryDirectory() as fetched:
        command = [
            sys.executable,
            "-m",
            "pip",
            *PIP,
            "--dest",
            fetched,
            "--requirement",
            str(lock),
        ]
        done = subprocess.run(  # noqa: S603 - the same interpreter, and pip
            command, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"pip cannot fetch what {lock.name} names:\n{done.stderr}")
        for wheel in sorted(Path(fetched).iterdir()):
            unpack(wheel, folder)


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack the importable files of a wheel into ``folder``.

    Programs, headers and manuals are left out.
    """
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            place = importable(entry.filename)
            if place is not None and not entry.is_dir():
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                (folder / place).write_bytes(archive.read(entry))


def importable(name: str) -> PurePosixPath | None:
    """Return the path at which a wheel's file is installed, or None if Python cannot import it.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/#the-data-directory
    """
    path = PurePosixPath(name)
    if not path.parts[0].endswith(".data"):
        return path
    if path.parts[1] in ("purelib", "platlib"):
        return PurePosixPath(*path.parts[2:])
    return None
