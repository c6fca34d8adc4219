"""Assembles the artifact: our code, the locked packages, and bytecode.

Unused parts of the packages are left out.
"""

import py_compile
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from artifact.pruning import prune
from artifact.wheels import install

CODE: Final = Path(__file__).parents[1]
LEFT_OUT: Final = (
    "artifact",
    "Makefile",
    "requirements.txt",
    "ruff.toml",
    "__pycache__",
    ".*",
)
"""Files that build the artifact, and files that other programs leave in the
folder of the code.
"""
RUNTIME: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The name that Lambda has for the Python that runs this."""
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
"""A program that imports every handler, creates the clients that they create,
and prints the files that were loaded.
"""
UNCHECKED: Final = py_compile.PycInvalidationMode.UNCHECKED_HASH


def assemble(folder: Path, bytecode_for: str) -> None:
    """Write the artifact into ``folder``.

    ``bytecode_for`` is Lambda's name of a Python version, for example
    ``python3.13``. Bytecode is added only if this Python is that version,
    because another version would ignore it.
    """
    shutil.copytree(CODE, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    install(CODE / "requirements.txt", folder)
    prune(folder)
    loaded = prove(folder)
    if bytecode_for == RUNTIME:
        ship_bytecode(folder, loaded)


def prove(folder: Path) -> list[Path]:
    """Import every handler, and return the files that were loaded.

    The interpreter can see only the artifact, so this shows that it is
    complete. Exits with the error if a handler cannot be imported.
    """
    modules = ", ".join(sorted(path.stem for path in CODE.glob("*.py")))
    program = PROOF.format(folder=str(folder), modules=modules)
    # As in Lambda: elsewhere the X-Ray SDK loads other parts of itself.
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(folder),
    }
    clean = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(  # noqa: S603 - the same interpreter, and a program of ours
        clean,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(
            f"a handler does not import from the artifact alone:\n{done.stderr}"
        )
    return [Path(line) for line in done.stdout.splitlines()]


def ship_bytecode(folder: Path, files: list[Path]) -> None:
    """Compile the files that the functions load, and add the bytecode to the artifact.

    Lambda cannot write bytecode beside the code. Without it, Python would compile at every cold
    start.
    """
    for path in files:
        shown = str(Path("/var/task") / path.relative_to(folder))
        compiled = (
            path.parent
            / "__pycache__"
            / f"{path.stem}.{sys.implementation.cache_tag}.pyc"
        )
        py_compile.compile(
            str(path),
            str(compiled),
            shown,
            doraise=True,
            invalidation_mode=UNCHECKED,
        )
