"""Builds what is deployed: `sam build`, then everything goes that Lambda never loads, and every handler is imported to prove it."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from infra.local.places import ROOT, Places, StandError

BUILD: Final = ROOT / ".aws-sam" / "build"
STAMP: Final = ROOT / ".aws-sam" / "topup-stamp"
SERVICES_KEPT: Final = frozenset({"dynamodb", "sqs", "secretsmanager", "sts"})
"""The AWS services that functions call; botocore brings the descriptions of 400 others."""
RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
SOURCES: Final = ("functions", "infra/site", "template.yaml", "requirements.txt", "infra/local/artifact.py")


def build(places: Places, *, always: bool = False) -> bool:
    """Build unless nothing has changed. Returns whether there was anything to do."""
    stamp = _fingerprint()
    if not always and STAMP.exists() and STAMP.read_text() == stamp and BUILD.exists():
        return False
    sam = [str(places.tools / "sam" / "bin" / "sam"), "build", "--parameter-overrides", f"Runtime={RUNTIME}", "Architecture=x86_64"]
    done = subprocess.run(sam, cwd=ROOT, env=places.environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        message = f"sam build failed:\n{done.stdout}\n{done.stderr}"
        raise StandError(message)
    folders = sorted(path for path in BUILD.iterdir() if path.is_dir())
    prune(folders[0])
    for twin in folders[1:]:
        shutil.rmtree(twin)
        shutil.copytree(folders[0], twin)
    prove(folders[0])
    STAMP.write_text(stamp)
    return True


def prune(folder: Path) -> None:
    """Leave out native code (each package has a pure twin that then loads), descriptions of unused services, caches."""
    for path in sorted(folder.rglob("*.so")):
        path.unlink()
    for path in sorted((folder / "botocore" / "data").iterdir()):
        if path.is_dir() and path.name not in SERVICES_KEPT:
            shutil.rmtree(path)
    for path in sorted(folder.rglob("__pycache__")):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("boto3/examples", "botocore/cacert.pem.bak"):
        shutil.rmtree(folder / name, ignore_errors=True)
    site = ROOT / "infra" / "site"
    if site.is_dir():
        shutil.copytree(site, folder / "site", dirs_exist_ok=True)


def prove(folder: Path) -> None:
    """Import every handler in an interpreter that has nothing but the artifact."""
    template = (BUILD / "template.yaml").read_text()
    modules = sorted({line.split(":")[1].strip().removesuffix(".handler") for line in template.splitlines() if "Handler:" in line})
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import {', '.join(modules)}"
    clean = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(clean, cwd=folder, env={"AWS_DEFAULT_REGION": "us-east-1"}, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        message = f"a handler does not import from the artifact alone:\n{done.stderr}"
        raise StandError(message)


def _fingerprint() -> str:
    digest = hashlib.sha256(json.dumps([RUNTIME]).encode())
    for source in SOURCES:
        place = ROOT / source
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
