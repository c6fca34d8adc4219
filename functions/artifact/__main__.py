"""``python -m artifact FOLDER...``: assembles the artifact, and fills each of the folders with it.

All functions run the same code. So the artifact is assembled once, beside the folders, and each
folder gets links to the same files.
"""

import argparse
import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from artifact.assembling import CODE, RUNTIME, assemble


def main() -> None:
    """Put the code that all Lambda functions run into each of the folders.

    The folders are the arguments of the command line. The code is assembled
    once. A folder that exists is replaced.
    """
    parser = argparse.ArgumentParser(
        prog="python -m artifact", description=__doc__
    )
    parser.add_argument("folders", nargs="+", type=Path, help="where it goes")
    parser.add_argument(
        "--bytecode-for",
        required=True,
        help="the functions' Runtime, such as python3.13",
    )
    chosen = parser.parse_args()
    folders: list[Path] = [folder.resolve() for folder in chosen.folders]
    whole = assembled(folders[0].parent, chosen.bytecode_for)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole, folder, copy_function=link)


def assembled(parent: Path, bytecode_for: str) -> Path:
    """Return the folder in ``parent`` that has the code of all functions.

    SAM builds several Lambda functions concurrently. The first process makes
    the folder, and the others wait for it and use it. ``bytecode_for`` is a
    Python version, as in ``assemble``.
    """
    parent.mkdir(parents=True, exist_ok=True)
    whole = parent / f".topup-{fingerprint(bytecode_for)}"
    with (parent / ".topup-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            part = parent / ".topup-part"
            # of a process that was stopped
            shutil.rmtree(part, ignore_errors=True)
            assemble(part, bytecode_for)
            part.rename(whole)
    return whole


def fingerprint(bytecode_for: str) -> str:
    """Return a hash of all that the artifact of Lambda's code depends on.

    That is the folder CODE with our code and the lock file, the Python version
    that runs now, and ``bytecode_for``, the version to compile bytecode for.
    """
    digest = hashlib.sha256(f"{RUNTIME} {bytecode_for}".encode())
    for path in sorted(CODE.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(
                f"\0{path.relative_to(CODE)}\0".encode() + path.read_bytes()
            )
    return digest.hexdigest()[:12]


def link(source: str, target: str) -> None:
    """Link a file, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
