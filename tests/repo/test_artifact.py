"""`sam build` by hand in a fresh clone, with nothing of ours installed, gives the whole product."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from repo.declared import functions, parameters

from infra.build import artifact
from infra.build.artifact import BUILD, FIRST, RUNTIME, build
from infra.local.paths import ROOT, Paths

PASSED_ON: Final = ("PATH", "PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "https_proxy")
"""What a machine needs to reach a package index. No HOME, no settings of the tests."""
BYTECODE: Final = "__pycache__"
PROGRAM: Final = """
import sys
sys.path.insert(0, {folder!r})
from MODULE import handler
assert callable(handler)
"""
ASKS: Final = """
import json, sys
sys.path.insert(0, {folder!r})
from public import serve_site
http = {{"method": "GET"}}
for file in [None, *serve_site.ASSETS]:
    parameters = {{"file": file}} if file else None
    event = {{"requestContext": {{"requestId": "1", "http": http}}, "pathParameters": parameters}}
    said = serve_site.handler(event, None)
    print(json.dumps([file, said["statusCode"], len(said["body"])]))
"""


def _clone(folder: Path) -> None:
    """Copy what git has, or would have: the same as a clone after the next commit."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def ours() -> Path:
    """What `make build` makes."""
    build(Paths.from_environment())
    return BUILD / FIRST


@pytest.fixture(scope="module")
def plain(ours: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `sam build` fills, after `make build` has, in a clone
    whose path has a space.
    """
    clone, home = tmp_path_factory.mktemp("a clone"), tmp_path_factory.mktemp("home")
    _clone(clone)
    shutil.copytree(ours.parent, clone / ".aws-sam" / "build", copy_function=os.link)
    sam = Paths.from_environment().tools / "sam" / "bin" / "sam"
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment = {**kept, "HOME": str(home), "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(
        [sam, "build"], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return clone / ".aws-sam" / "build"


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and BYTECODE not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _clean(folder: Path, program: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a program in an interpreter that has no packages of this machine.

    All folders are called the same, so that what one of them compiled serves for the next: they are
    links to the same files.
    """
    called = folder.parent / "called"
    called.unlink(missing_ok=True)
    called.symlink_to(folder)
    cache = f"pycache_prefix={folder.parent / 'compiled'}"
    command = [sys.executable, "-I", "-S", "-X", cache, "-c", program.format(folder=str(called))]
    usual = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(called),
        **(environment or {}),
    }
    done = subprocess.run(
        command, cwd=folder, env=usual, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(functions()))
def test_a_handler_imports_from_the_artifact_of_its_function(plain: Path, name: str) -> None:
    """Every function of the template is built, and needs nothing else."""
    module = functions()[name]["Handler"].removesuffix(".handler")
    _clean(plain / name, PROGRAM.replace("MODULE", module))


def test_the_page_is_served_from_the_artifact_with_all_its_files(plain: Path) -> None:
    """It is in git, where every build finds it."""
    folder = plain / "ServeSiteFunction"
    environment = {
        "JWT_ISSUER": "http://127.0.0.1:9/pool",
        "JWT_CLIENT_ID": "a-client",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    }
    lines = _clean(folder, ASKS, environment).splitlines()
    answers: list[Any] = [json.loads(line) for line in lines]
    assert len(answers) > 1
    assert [answer for answer in answers if answer[1] != 200 or answer[2] < 1000] == []


def test_every_artifact_has_the_files_that_make_build_ships_byte_for_byte(
    plain: Path, ours: Path
) -> None:
    """Bytecode aside, which depends on the Python that builds."""
    expected = _files(ours)
    assert len(expected) > 500
    for name in functions():
        assert _files(plain / name) == expected, name


def test_bytecode_is_that_of_the_runtime_which_is_deployed_or_there_is_none(
    plain: Path, ours: Path
) -> None:
    """Lambda ignores any other, and it would only make the artifact larger."""
    tags = {path.suffixes[0].removeprefix(".") for path in plain.glob(f"*/**/{BYTECODE}/*.pyc")}
    usual = str(parameters()["Runtime"]["Default"])
    assert tags <= {usual.replace("python", "cpython-").replace(".", "")}
    template = json.loads((BUILD / "template.yaml").read_text())
    assert template["Parameters"]["Runtime"]["Default"] == RUNTIME
    assert {path.suffixes[0] for path in ours.rglob("*.pyc")} == {
        f".{sys.implementation.cache_tag}"
    }


def test_the_builder_prefers_the_runtime_that_is_deployed() -> None:
    """One version in two files: `make` cannot read the template."""
    assert (
        f"RUNTIME := {parameters()['Runtime']['Default']}\n"
        in (ROOT / "functions" / "Makefile").read_text()
    )


def test_what_sam_build_overwrote_is_built_again(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make build`, `sam build`, `make deploy`, in this order: the last one finds SAM's files where
    ours stood.
    """
    monkeypatch.setattr(artifact, "BUILD", tmp_path / "build")
    assert build(Paths.from_environment())
    shutil.rmtree(artifact.BUILD)  # SAM empties the folder before it builds
    shutil.copytree(plain, artifact.BUILD, copy_function=os.link)
    assert build(Paths.from_environment())
    template = json.loads((artifact.BUILD / "template.yaml").read_text())
    codes = [template["Resources"][name]["Properties"]["CodeUri"] for name in functions()]
    assert all((artifact.BUILD / code).is_file() for code in codes)
    assert not build(Paths.from_environment())
