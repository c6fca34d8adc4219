"""Builds what is deployed: `sam build` of the code that all functions share, without what Lambda never loads.

Every handler is imported from the result, to prove that nothing is missing.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from infra.local.places import ROOT, Places, StandError

BUILD: Final = ROOT / ".aws-sam" / "build"
FIRST: Final = "ListPlansFunction"
ARCHIVE: Final = "topup.zip"
FUNCTION: Final = re.compile(r"^  (\w+):\n    Type: AWS::Serverless::Function\n    Properties:\n", re.MULTILINE)
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
    sam = [str(places.tools / "sam" / "bin" / "sam"), "build", FIRST, "--parameter-overrides", f"Runtime={RUNTIME}", "Architecture=x86_64"]
    done = subprocess.run(sam, cwd=ROOT, env=places.environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        message = f"sam build failed:\n{done.stdout}\n{done.stderr}"
        raise StandError(message)
    prune(BUILD / FIRST)
    prove(BUILD / FIRST)
    _share()
    STAMP.write_text(stamp)
    return True


def _share() -> None:
    """All functions have the same code: one zip for all of them, and a folder each, of the same files."""
    names = FUNCTION.findall((ROOT / "template.yaml").read_text())
    for name in names:
        if name != FIRST:
            shutil.rmtree(BUILD / name, ignore_errors=True)
            shutil.copytree(BUILD / FIRST, BUILD / name, copy_function=os.link)
    with zipfile.ZipFile(BUILD / ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted((BUILD / FIRST).rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(BUILD / FIRST)), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    text = FUNCTION.sub(lambda match: f"{match[0]}      CodeUri: {ARCHIVE}\n", (ROOT / "template.yaml").read_text())
    (BUILD / "template.yaml").write_text(text)


def prune(folder: Path) -> None:
    """Leave out native code (each package has a pure twin that then loads), descriptions of unused services, caches."""
    for path in sorted(folder.rglob("*.so")):
        path.unlink()
    for path in sorted((folder / "botocore" / "data").iterdir()):
        if path.is_dir() and path.name not in SERVICES_KEPT:
            shutil.rmtree(path)
    for path in sorted(folder.rglob("__pycache__")):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / "boto3" / "examples", ignore_errors=True)
    site = ROOT / "infra" / "site"
    if site.is_dir():
        shutil.copytree(site, folder / "site", dirs_exist_ok=True)


def prove(folder: Path) -> None:
    """Import every handler in an interpreter that has nothing but the artifact."""
    template = (ROOT / "template.yaml").read_text()
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
