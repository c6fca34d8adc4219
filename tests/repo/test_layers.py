"""Imports point one way: handlers, api, wiring, top-up, audit, reconciliation, buying,
payments, account, quota, notices, Stripe, storage.
"""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

from infra.local.paths import ROOT

FUNCTIONS: Final = ROOT / "functions"
PACKAGES: Final = (
    "storage",
    "stripe_api",
    "notices",
    "lots",
    "quota",
    "expiry",
    "spending",
    "holds",
    "keys",
    "account",
    "payments",
    "parked",
    "settlement",
    "buying",
    "grants",
    "reconciliation",
    "audit",
    "charging",
    "agreements",
    "top_up",
    "wiring",
    "api",
)
"""From the inside out: each may import those before it. A module beside them is shared by all."""
OUTSIDE: Final = {
    "stripe": {
        "billing.stripe_api.cards",
        "billing.stripe_api.client",
        "billing.stripe_api.connection",
        "billing.stripe_api.outcomes",
        "billing.stripe_api.signatures",
        "billing.stripe_api.refusals",
    },
    "pynamodb": {"billing.storage.expressions"},
    "botocore": {
        "billing.storage.connection",
        "billing.storage.aws_faults",
        "billing.notices.event_bus",
        "billing.payments.fact_queue",
        "billing.top_up.messages",
        "billing.wiring.secrets",
    },
    "aws_lambda_powertools": {"billing.telemetry", "billing.tracing"},
}
"""The modules that may import what is not ours."""


def _modules(folder: Path) -> dict[str, Path]:
    """Every module below a folder by its dotted name."""
    paths = [
        path for path in folder.rglob("*.py") if "artifact" not in path.relative_to(folder).parts
    ]
    return {
        ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }


MODULES: Final = _modules(FUNCTIONS)
BILLING: Final = {name: path for name, path in MODULES.items() if name.startswith("billing")}
HANDLERS: Final = set(MODULES) - set(BILLING)


def _imports(path: Path, known: set[str]) -> Iterator[str]:
    """The modules that a file imports when it runs; what only the type checker
    reads is left out.
    """
    tree = ast.parse(path.read_text())
    unread = {
        id(inner) for node in ast.walk(tree) if _is_for_types(node) for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unread:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{name.name}" for name in node.names}
            yield from (parts & known) or {node.module}


def _is_for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _level(name: str) -> int:
    """0 for what is shared."""
    package = name.split(".")[1] if name.count(".") else ""
    return PACKAGES.index(package) + 1 if package in PACKAGES else 0


def test_imports_between_packages_point_inwards() -> None:
    """What is shared is imported by all, so that only its imports of packages are looked at by
    name.
    """
    outward = [
        (name, other)
        for name, path in BILLING.items()
        for other in _imports(path, set(BILLING))
        if other in BILLING and _level(name) and _level(other) > _level(name)
    ]
    assert outward == []


@pytest.mark.parametrize("folder", ["functions", "infra", "client/src"])
def test_no_import_goes_in_a_circle(folder: str) -> None:
    root = ROOT if folder == "infra" else ROOT / folder
    modules = {
        f"infra.{name}" if folder == "infra" else name: path
        for name, path in _modules(ROOT / folder).items()
    }
    assert root.is_dir()
    graph = {
        name: set(_imports(path, set(modules))) & set(modules) - {name}
        for name, path in modules.items()
    }
    assert list(TopologicalSorter(graph).static_order())


def test_only_adapters_import_what_is_not_ours() -> None:
    """Each library has its modules; everything else knows the standard library and us."""
    found: dict[str, set[str]] = {}
    for name, path in BILLING.items():
        for package in {imported.split(".")[0] for imported in _imports(path, set(BILLING))} - {
            "billing",
            *sys.stdlib_module_names,
        }:
            found.setdefault(package, set()).add(name)
    assert found == OUTSIDE


def test_no_handler_is_imported() -> None:
    """A handler is called by Lambda alone."""
    handlers = HANDLERS - {"public"}
    for name, path in MODULES.items():
        assert not handlers & set(_imports(path, set(MODULES))), name
