"""Finds code by its syntax and replaces it, so that layout, comments and quotes do not matter.

In a pattern ``...`` stands for any expression, as a whole body for any statements, and ``**...``
in a call for any further keyword arguments. In the replacement each ``...`` puts back what the
pattern's first, second, ... one stood for.
"""

import ast
from collections.abc import Iterator, Sequence
from typing import Any

Captured = list[Any]


def replace_once(tree: ast.AST, old: str, new: str) -> int:
    """Replace ``old`` in the tree if it is there once. Return how often it is there."""
    pattern, wanted = _parsed(old, new)
    places = list(_places(tree, pattern))
    if len(places) == 1:
        owner, name, start, captured = places[0]
        _put(owner, name, start, len(pattern), _filled(wanted, captured))
    return len(places)


def _parsed(old: str, new: str) -> tuple[list[Any], list[Any]]:
    """Both as one expression if both are one, otherwise as statements."""
    try:
        return [ast.parse(old, mode="eval").body], [ast.parse(new, mode="eval").body]
    except SyntaxError:
        return ast.parse(old).body, ast.parse(new or "pass").body


def _places(tree: ast.AST, pattern: list[Any]) -> Iterator[tuple[ast.AST, str, int, Captured]]:
    """Yield each match: the node that holds it, the field, the place in a list,
    what ``...`` was.
    """
    for owner in ast.walk(tree):
        for name, value in ast.iter_fields(owner):
            nodes = value if isinstance(value, list) else [value]
            for start in range(len(nodes) - len(pattern) + 1):
                captured: Captured = []
                part = nodes[start : start + len(pattern)]
                if all(_fits(one, node, captured) for one, node in zip(pattern, part, strict=True)):
                    yield owner, name, start, captured


def _put(owner: ast.AST, name: str, start: int, length: int, new: list[Any]) -> None:
    value = getattr(owner, name)
    if isinstance(value, list):
        value[start : start + length] = new
    else:
        setattr(owner, name, new[0])


def _fits(pattern: Any, node: Any, captured: Captured) -> bool:
    if _is_any(pattern) and isinstance(node, ast.expr):
        captured.append(node)
        return True
    if type(pattern) is not type(node):
        return False
    if isinstance(pattern, list):
        return _lists_fit(pattern, node, captured)
    if isinstance(pattern, ast.Call):
        return (
            _fits(pattern.func, node.func, captured)
            and _lists_fit(pattern.args, node.args, captured)
            and _keywords_fit(pattern.keywords, node.keywords, captured)
        )
    if isinstance(pattern, ast.AST):
        return all(
            _fits(value, getattr(node, name, None), captured)
            for name, value in ast.iter_fields(pattern)
            if name not in ("kind", "type_comment")
        )
    return bool(pattern == node)


def _lists_fit(pattern: Sequence[Any], nodes: Sequence[Any], captured: Captured) -> bool:
    if len(pattern) == 1 and isinstance(pattern[0], ast.Expr) and _is_any(pattern[0].value):
        captured.append(list(nodes))
        return True
    return len(pattern) == len(nodes) and all(
        _fits(one, node, captured) for one, node in zip(pattern, nodes, strict=True)
    )


def _keywords_fit(pattern: list[ast.keyword], nodes: list[ast.keyword], captured: Captured) -> bool:
    """In any order."""
    rest = {node.arg: node for node in nodes}
    named = [one for one in pattern if one.arg is not None or not _is_any(one.value)]
    for one in named:
        node = rest.pop(one.arg, None)
        if node is None or not _fits(one.value, node.value, captured):
            return False
    if len(named) < len(pattern):
        captured.append(list(rest.values()))
        return True
    return not rest


def _filled(new: list[Any], captured: Captured) -> list[Any]:
    """Put what the pattern's ``...`` stood for in place of the replacement's."""
    filler = _Filler(list(captured))
    filled: list[Any] = []
    for node in new:
        made = filler.visit(node)
        filled += made if isinstance(made, list) else [made]
    return filled


class _Filler(ast.NodeTransformer):
    def __init__(self, captured: Captured) -> None:
        self._captured = captured

    def visit_Expr(self, node: ast.Expr) -> Any:
        if _is_any(node.value):
            return self._captured.pop(0)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> Any:
        if node.arg is None and _is_any(node.value):
            return self._captured.pop(0)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> Any:
        return self._captured.pop(0) if node.value is ... else node


def _is_any(node: Any) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...
