"""Imports point one way: entry points, edge, acts, doors, core."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

from infra.local.places import ROOT

LAYERS: Final = {
    "core": (
        *("balances", "bundle", "differences", "errors", "events", "facts", "identity", "money", "observed"),
        *("patience", "payments", "plans", "reversals", "settings", "times", "writes"),
    ),
    "doors": ("aws_faults", "gateway", "outbox", "refusals", "signatures", "spelling", "store", "telemetry", "tracing"),
    "acts": (
        *("books", "checkout", "comparing", "confirmation", "holds", "keys", "ledger", "mending", "pages", "parking", "purchases"),
        *("deployment", "quota", "reconciliation", "recovery", "settlement", "spending", "upkeep", "verification"),
    ),
    "edge": ("api", "openapi", "receiving", "runtime", "shapes", "stripe_doors", "vault"),
}
OUTSIDE: Final = {
    "stripe": {"gateway", "refusals", "signatures"},
    "pynamodb": {"spelling"},
    "botocore": {"aws_faults", "store", "outbox", "vault"},
    "aws_lambda_powertools": {"telemetry", "tracing"},
}
"""Who may speak to what is not ours."""
FILES: Final = {path.stem: path for path in (ROOT / "functions" / "billing").glob("[!_]*.py")}


def _imports(path: Path) -> Iterator[str]:
    """Whole module names; what only the type checker reads is left out."""
    tree = ast.parse(path.read_text())
    unread = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unread:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ([f"billing.{name.name}" for name in node.names] if node.module == "billing" else [node.module])


def _ours(path: Path) -> set[str]:
    return {name.split(".")[1] for name in _imports(path) if name.startswith("billing.")}


def test_every_file_has_its_layer_and_imports_point_inwards() -> None:
    """And never in a circle."""
    level = {name: number for number, names in enumerate(LAYERS.values()) for name in names}
    assert set(level) == set(FILES)
    outward = [(name, other) for name, path in FILES.items() for other in _ours(path) if level[other] > level[name]]
    assert outward == []
    tuple(TopologicalSorter({name: _ours(path) for name, path in FILES.items()}).static_order())  # raises CycleError


def test_only_doors_speak_to_what_is_not_ours() -> None:
    """Each library has its files; everything else knows the standard library and us."""
    found: dict[str, set[str]] = {}
    for name, path in FILES.items():
        for package in {imported.split(".")[0] for imported in _imports(path)} - {"billing", *sys.stdlib_module_names}:
            found.setdefault(package, set()).add(name)
    assert found == OUTSIDE


def test_no_entry_point_is_imported() -> None:
    """A handler is called by Lambda, and by nobody else."""
    handlers = {path.stem for path in (ROOT / "functions").glob("*.py")}
    for path in [*FILES.values(), *(ROOT / "functions").glob("*.py")]:
        assert not handlers & {name for name in _imports(path) if "." not in name}, path.name
