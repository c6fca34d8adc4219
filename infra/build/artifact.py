"""Builds the artifact that `make deploy` and the local stack deploy.

It is the folder that `sam build` makes, and one zip file of it that all functions share.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, Final

from infra.local.paths import ROOT, LocalStackError, Paths

BUILD: Final = ROOT / ".aws-sam" / "build"
FIRST: Final = "ListPlansFunction"
ARCHIVE: Final = "topup.zip"
STAMP: Final = ".topup-stamp"
"""Fingerprint of the last build, in the folder that `sam build` empties.

A build by SAM therefore removes it together with our build."""
RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The Python that builds.

Lambda reads the artifact's bytecode only if this is the functions' Runtime.
"""
PARSED: Final = "template.yaml"
"""The built template as JSON. SAM reads a template seven times, and YAML is slow to read."""
PARSE: Final = """
import json, sys
from samcli.yamlhelper import yaml_parse
json.dump(yaml_parse(sys.stdin.read()), sys.stdout)
"""
CATALOGUE: Final = "TOPUP_CATALOGUE"
"""Names a file with another catalogue, for a local stack that sells something else."""
SOURCES: Final = ("functions", "template.yaml", "infra/build/artifact.py")


def build(paths: Paths, *, always: bool = False) -> bool:
    """Build the artifact unless its sources are unchanged. Returns whether it was built."""
    BUILD.parent.mkdir(exist_ok=True)
    with (BUILD.parent / "topup-lock").open("w") as lock:
        # A concurrent build waits here, and then finds nothing to do.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _build(paths, always=always)


def _build(paths: Paths, *, always: bool) -> bool:
    stamp = _fingerprint()
    if not always and (BUILD / STAMP).exists() and (BUILD / STAMP).read_text() == stamp:
        return False
    shutil.rmtree(BUILD, ignore_errors=True)
    template = _parsed_template(paths)
    folders = [BUILD / name for name in _take_archive(template)]
    assemble(folders, template["Parameters"]["Runtime"]["Default"])
    _put_catalogue(folders)
    _zip(BUILD / FIRST, BUILD / ARCHIVE)
    (BUILD / PARSED).write_text(json.dumps(template))
    (BUILD / STAMP).write_text(stamp)
    return True


def _other_catalogue() -> bytes:
    """Return the catalogue that the environment names, or b"" for the product's own.

    Raises LocalStackError for a file that cannot be read, or is no catalogue.
    """
    name = os.environ.get(CATALOGUE, "")
    if not name:
        return b""
    sys.path.insert(0, str(ROOT / "functions"))
    from billing.payments import plans  # noqa: PLC0415 - only for another catalogue

    try:
        text = Path(name).read_text(encoding="utf-8")
        plans.read(text)
    except (OSError, ValueError) as error:
        message = f"{CATALOGUE}={name} cannot be used: {error}"
        raise LocalStackError(message) from error
    return text.encode()


def _put_catalogue(folders: list[Path]) -> None:
    """Let every function sell what the environment's catalogue says."""
    if text := _other_catalogue():
        for folder in folders:
            (folder / "billing" / "payments" / "plans.json").write_bytes(text)


def assemble(folders: list[Path], runtime: str) -> None:
    """Fill each folder as `sam build` does, with bytecode if this Python is ``runtime``."""
    command = [sys.executable, "-m", "artifact", "--bytecode-for", runtime, *map(str, folders)]
    done = subprocess.run(  # noqa: S603 - our own program, with folders of ours
        command, cwd=ROOT / "functions", capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"the build failed:\n{done.stdout}\n{done.stderr}"
        raise LocalStackError(message)


def _parsed_template(paths: Paths) -> dict[str, Any]:
    """Read the template as SAM reads it, and make the Python that builds its default Runtime."""
    parse = [str(paths.tools / "sam" / "bin" / "python"), "-c", PARSE]
    source = (ROOT / "template.yaml").read_bytes()
    done = subprocess.run(  # noqa: S603 - SAM's own Python
        parse, input=source, stdout=subprocess.PIPE, check=True
    )
    template: dict[str, Any] = json.loads(done.stdout)
    runtime = template["Parameters"]["Runtime"]
    if RUNTIME in runtime["AllowedValues"]:
        runtime["Default"] = RUNTIME
    return template


def _take_archive(template: dict[str, Any]) -> list[str]:
    """Point every function of ``template`` to the one archive. Returns their names."""
    kind = "AWS::Serverless::Function"
    functions = {
        name: row for name, row in template["Resources"].items() if row.get("Type") == kind
    }
    for function in functions.values():
        del function["Metadata"]
        function["Properties"]["CodeUri"] = ARCHIVE
    return list(functions)


def _zip(folder: Path, file: Path) -> None:
    """Write a zip that has the same bytes for the same files, whenever they were made."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _fingerprint() -> str:
    digest = hashlib.sha256(json.dumps([RUNTIME]).encode() + _other_catalogue())
    for source in SOURCES:
        for path in _files(ROOT / source):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = sorted(source.rglob("*"))
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]
