"""Builds the artifact that `make deploy` and the local stack deploy.

The artifact is a folder as `sam build` makes it, with one zip file that all functions share.
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
"""The file with the fingerprint of the last build's sources.

`sam build` empties the folder of this file. A build by SAM therefore removes both the file and our
build.
"""
RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The version of the Python that builds.

Lambda reads the artifact's bytecode only if the functions' Runtime is the same version.
"""
PARSED: Final = "template.yaml"
"""The file with the built template. Its content is JSON, because SAM reads the template seven
times, and YAML is slow to read.
"""
PARSE: Final = """
import json, sys
from samcli.yamlhelper import yaml_parse
json.dump(yaml_parse(sys.stdin.read()), sys.stdout)
"""
CATALOGUE: Final = "TOPUP_CATALOGUE"
"""The environment variable that names a file with another catalogue of plans. A local stack then
sells those plans.
"""
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
    """Return the content of the file of plans that the variable TOPUP_CATALOGUE names.

    The result is b"" if the variable is not set. Raises LocalStackError if the file cannot be read
    or is not a valid catalogue of plans.
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
    """Write the file of plans that TOPUP_CATALOGUE names into each build folder.

    Without that environment variable the folders keep the product's own plans.
    """
    if text := _other_catalogue():
        for folder in folders:
            (folder / "billing" / "payments" / "plans.json").write_bytes(text)


def assemble(folders: list[Path], runtime: str) -> None:
    """Fill each folder with the functions' code, as `sam build` does.

    Bytecode is added if this Python's version is ``runtime``. Raises LocalStackError if the build
    fails.
    """
    command = [sys.executable, "-m", "artifact", "--bytecode-for", runtime, *map(str, folders)]
    done = subprocess.run(  # noqa: S603 - our own program, with folders of ours
        command, cwd=ROOT / "functions", capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"the build failed:\n{done.stdout}\n{done.stderr}"
        raise LocalStackError(message)


def _parsed_template(paths: Paths) -> dict[str, Any]:
    """Return template.yaml as SAM's own parser reads it.

    The default of its parameter Runtime becomes this Python's version, if the template allows it.
    """
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
    """Make every function of ``template`` use the one zip file.

    Returns the functions' logical ids.
    """
    kind = "AWS::Serverless::Function"
    functions = {
        name: row for name, row in template["Resources"].items() if row.get("Type") == kind
    }
    for function in functions.values():
        del function["Metadata"]
        function["Properties"]["CodeUri"] = ARCHIVE
    return list(functions)


def _zip(folder: Path, file: Path) -> None:
    """Write the content of ``folder`` as a zip file.

    The same content always gives the same bytes, because all entries have the same fixed date.
    """
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
