"""Builds what is deployed: `sam build` of the code that all functions share, without what Lambda never loads.

Every handler is imported from the result, to prove that nothing is missing.
"""

import fcntl
import hashlib
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

from infra.local.places import ROOT, Places, StandError
from infra.local.pruning import prune

BUILD: Final = ROOT / ".aws-sam" / "build"
FIRST: Final = "ListPlansFunction"
ARCHIVE: Final = "topup.zip"
FUNCTION: Final = re.compile(r"^  (\w+):\n    Type: AWS::Serverless::Function\n    Properties:\n", re.MULTILINE)
STAMP: Final = ROOT / ".aws-sam" / "topup-stamp"
RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
PROOF: Final = """
import sys
sys.path.insert(0, {folder!r})
import {modules}
import boto3, stripe
for service in "dynamodb", "secretsmanager", "sqs":
    boto3.client(service)
stripe.StripeClient("sk_test_of_nobody", http_client=stripe.RequestsClient())
from billing import tracing
tracing.tracer()
for module in list(sys.modules.values()):
    if (getattr(module, "__file__", None) or "").startswith({folder!r}):
        print(module.__file__)
"""
"""Imports every handler, makes the clients that they make, and names the files that were loaded."""
PARSED: Final = "template.json"
"""The built template again, as SAM itself reads it. This one is deployed: SAM reads a template seven times, and YAML takes it long."""
PARSE: Final = "import json, sys; from samcli.yamlhelper import yaml_parse; json.dump(yaml_parse(sys.stdin.read()), sys.stdout)"
SOURCES: Final = (
    "functions",
    "infra/site",
    "template.yaml",
    "requirements.txt",
    "infra/local/artifact.py",
    "infra/local/pruning.py",
)


def build(places: Places, *, always: bool = False) -> bool:
    """Build unless nothing has changed. Returns whether there was anything to do."""
    BUILD.parent.mkdir(exist_ok=True)
    with (BUILD.parent / "topup-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process that builds waits, and then has nothing to do
        return _build(places, always=always)


def _build(places: Places, *, always: bool) -> bool:
    stamp = _fingerprint()
    if not always and STAMP.exists() and STAMP.read_text() == stamp and BUILD.exists():
        return False
    sam = [str(places.tools / "sam" / "bin" / "sam"), "build", FIRST, "--parameter-overrides", f"Runtime={RUNTIME}", "Architecture=x86_64"]
    pip = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # ours, not whatever comes first on this machine
    done = subprocess.run(sam, cwd=ROOT, env=places.environment() | pip, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        message = f"sam build failed:\n{done.stdout}\n{done.stderr}"
        raise StandError(message)
    prune(BUILD / FIRST)
    shutil.copytree(ROOT / "infra" / "site", BUILD / FIRST / "site", dirs_exist_ok=True)
    ship_bytecode(BUILD / FIRST, prove(BUILD / FIRST))
    _share(places)
    STAMP.write_text(stamp)
    return True


def _share(places: Places) -> None:
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
    parse = [str(places.tools / "sam" / "bin" / "python"), "-c", PARSE]
    (BUILD / PARSED).write_bytes(subprocess.run(parse, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout)  # noqa: S603


def prove(folder: Path) -> list[Path]:
    """Import every handler in an interpreter that has nothing but the artifact. Returns the files that this and a client load."""
    template = (ROOT / "template.yaml").read_text()
    modules = sorted({line.split(":")[1].strip().removesuffix(".handler") for line in template.splitlines() if "Handler:" in line})
    program = PROOF.format(folder=str(folder), modules=", ".join(modules))
    clean = [sys.executable, "-I", "-S", "-B", "-c", program]
    # As in Lambda: elsewhere the X-Ray SDK loads other parts of itself.
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "LAMBDA_TASK_ROOT": str(folder)}
    done = subprocess.run(clean, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        message = f"a handler does not import from the artifact alone:\n{done.stderr}"
        raise StandError(message)
    return [Path(line) for line in done.stdout.splitlines()]


def ship_bytecode(folder: Path, files: list[Path]) -> None:
    """Compile what functions load: Lambda cannot write it beside the code, and would compile anew at every cold start.

    Another Python than this one passes it over and reads the source.
    """
    for path in files:
        shown = str(Path("/var/task") / path.relative_to(folder))
        py_compile.compile(str(path), dfile=shown, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def _fingerprint() -> str:
    digest = hashlib.sha256(json.dumps([RUNTIME]).encode())
    for source in SOURCES:
        place = ROOT / source
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
