"""Joins the page's ES modules into one script.

So a first visit loads one file. The modules in functions/site keep their
imports and exports, so they stay readable. No external bundler is needed, and
no generated file is in git.
"""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter
from typing import Final

IMPORT: Final = re.compile(
    r'^import (?:\* as (\w+)|\{ ([\w, ]+) \}|(\w+)) from "/site/([\w.]+)";$',
    re.MULTILINE,
)
EXPORT: Final = re.compile(
    r"^export ((?:async )?(?:const|function|class) (\w+))", re.MULTILINE
)
DEFAULT: Final = re.compile(r"^export default ", re.MULTILINE)
LEFT: Final = re.compile(
    r"^(?:import|export|await)\b.*|.*\bimport\(.*", re.MULTILINE
)


def bundle(modules: Mapping[str, str], entry: str) -> str:
    """Return one script that does the same as the module ``entry``.

    ``modules`` has the text of each module by file name. They import each other as ``/site/NAME``.

    Raises ValueError for syntax that it does not know, for an import of a name that is not
    exported, and for an import cycle.
    """
    wanted: dict[str, set[str]] = {}
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted[name] = {
                found[4] for found in IMPORT.finditer(modules[name])
            }
            waiting += sorted(wanted[name])
    for name in wanted:
        _check(name, modules)
    return "\n".join(
        _scope(name, modules[name])
        for name in TopologicalSorter(wanted).static_order()
    )


def _check(name: str, modules: Mapping[str, str]) -> None:
    """Raise ValueError if the module imports a name that is not exported.

    In the joined script such a name would just be undefined.
    """
    for found in IMPORT.finditer(modules[name]):
        asked = {word.strip() for word in (found[2] or "").split(",")} - {""}
        if unknown := asked - set(_exports(modules[found[4]])):
            message = (
                f"{name}: {found[4]} exports no {', '.join(sorted(unknown))}"
            )
            raise ValueError(message)


def _exports(text: str) -> list[str]:
    return [found[2] for found in EXPORT.finditer(text)] + ["$default"] * len(
        DEFAULT.findall(text)
    )


def _scope(name: str, text: str) -> str:
    """Return JavaScript that puts a module's exports into one constant.

    The module's ``text`` runs in a function, which keeps its names apart from
    those of other modules. ``name`` is the module's. Raises ValueError for an
    import or export that cannot be rewritten so.
    """
    body = DEFAULT.sub(
        "const $default = ", EXPORT.sub(r"\1", IMPORT.sub(_take, text))
    )
    if left := LEFT.search(body):
        message = f"{name}: cannot be joined with the others: {left[0].strip()}"
        raise ValueError(message)
    exports = ", ".join(_exports(text))
    return f"const {_variable(name)} = (() => {{\n{body}return {{ {exports} }};\n}})();\n"


def _take(found: re.Match[str]) -> str:
    whole, some, default, file = found.groups()
    source = _variable(file)
    if whole:
        return f"const {whole} = {source};"
    return f"const {{ {some or f'$default: {default}'} }} = {source};"


def _variable(file: str) -> str:
    return "$" + file.removesuffix(".js").replace(".", "_")
