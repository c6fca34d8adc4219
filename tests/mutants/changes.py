"""What can be wrong with one piece of code.

Each change is a kind, the node it replaces, and the new text.

Left out is what cannot be noticed from outside:

- None instead of False as an answer: a yes-or-no question gets no from both. That the answer
  becomes True is a fault of its own.
- The ``del`` of a bare name: it tells readers that an argument is not used.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Change = tuple[str, ast.AST, str]
CLAUSES: Final = frozenset({"must", "set", "add", "remove"})
"""The parts of a write: a dropped one is replaced by an empty one."""
CONDITIONS: Final = frozenset(
    {"equals", "absent", "exists", "absent_or", "Must", "_exactly", "get", "pop"}
)
"""Calls whose first argument names an attribute."""
TRANSACTIONS: Final = frozenset({"commit", "commit_once", "update"})
OTHER_OPERATOR: Final = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
SIGN: Final[dict[type[ast.cmpop], str]] = {
    kind: ast.unparse(ast.Compare(ast.Name("a"), [kind()], [ast.Name("b")])).strip("ab ")
    for kind in OTHER_OPERATOR
}
OTHER_TEXT: Final = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": ">="}
"""Operators of a condition, as our writes name them."""
OTHER_SIGN: Final[dict[type[ast.operator], ast.operator]] = {
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.FloorDiv(),
    ast.FloorDiv: ast.Mult(),
    ast.Pow: ast.Mult(),
}
HANDLES: Final = frozenset({"books", "meter", "self", "stripe"})
"""What most calls take first: in another place it ends every call."""
NEVER: Final = "ZeroDivisionError"
"""An exception that our code does not raise: a handler of this alone catches nothing."""


def changes(node: ast.AST) -> Iterator[Change]:
    """Yield every fault that this node, without what is inside it, can have."""
    if found := _OF.get(type(node)):
        yield from found(node)


def _plain(node: ast.AST) -> str:
    """One line of source, so that it can stand where the node stood."""
    return f"({ast.unparse(node)})" if isinstance(node, ast.expr) else ast.unparse(node)


def _without(items: list[Any], place: int) -> list[Any]:
    return [*items[:place], *items[place + 1 :]]


def _container(node: Any) -> Iterator[Change]:
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load) or not node.elts:
        return
    is_tuple = isinstance(node, ast.Tuple)
    if is_tuple and not any(
        isinstance(one, ast.Call | ast.Starred | ast.IfExp) for one in node.elts
    ):
        return  # a key or a pair: without a part of it nothing runs at all
    for place, _ in enumerate(node.elts):
        left = _without(node.elts, place)
        empty = ast.Call(ast.Name("set"), [], []) if isinstance(node, ast.Set) else ast.Tuple([])
        yield (
            "dropped part",
            node,
            _plain(type(node)(left) if left or isinstance(node, ast.List) else empty),
        )


def _members(node: ast.Dict) -> Iterator[Change]:
    for place, key in enumerate(node.keys):
        yield (
            "dropped member",
            node,
            _plain(ast.Dict(_without(node.keys, place), _without(node.values, place))),
        )
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield "other key", key, repr(f"{key.value}_")


def _call(node: ast.Call) -> Iterator[Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in TRANSACTIONS:
        for place, _ in enumerate(node.args):
            yield (
                "dropped write",
                node,
                _plain(ast.Call(node.func, _without(node.args, place), node.keywords)),
            )
    if name in ("min", "max"):
        other = {"min": "max", "max": "min"}[name]
        yield "other end", node.func, other
        for argument in node.args:
            if len(node.args) > 1 and not isinstance(argument, ast.Starred):
                yield "dropped bound", node, _plain(argument)
    if name == "suppress":
        yield "narrowed except", node, f"suppress({NEVER})"
        yield "widened except", node, "suppress(Exception)"
    if (
        name in CONDITIONS
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ):
        yield "other key", node.args[0], repr(f"{node.args[0].value}_")
    if name not in ("min", "max", "suppress"):
        yield from _swapped(node)
    yield from _keywords(node)


def _swapped(node: ast.Call) -> Iterator[Change]:
    for place, (one, two) in enumerate(zip(node.args, node.args[1:], strict=False)):
        if ast.unparse(one) in (*HANDLES, ast.unparse(two)):
            continue
        if all(
            isinstance(each, ast.Name | ast.Attribute | ast.BinOp | ast.Subscript)
            for each in (one, two)
        ):
            args = [*node.args[:place], two, one, *node.args[place + 2 :]]
            yield "swapped arguments", node, _plain(ast.Call(node.func, args, node.keywords))


def _keywords(node: ast.Call) -> Iterator[Change]:
    for keyword in node.keywords:
        value = keyword.value
        if keyword.arg in CLAUSES:
            yield "dropped clause", value, "{}" if keyword.arg in ("set", "add") else "()"
        elif keyword.arg and not (
            isinstance(value, ast.Constant) and isinstance(value.value, bool)
        ):
            left = [one for one in node.keywords if one is not keyword]
            yield "dropped argument", node, _plain(ast.Call(node.func, node.args, left))


def _compare(node: ast.Compare) -> Iterator[Change]:
    if len(node.ops) == 1:
        left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
        yield "shifted bound", node, f"({left} {OTHER_OPERATOR[type(node.ops[0])]} {right})"
        return
    sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
    for place, operator in enumerate(node.ops):
        signs = [
            OTHER_OPERATOR[type(one)] if one is operator else SIGN[type(one)] for one in node.ops
        ]
        rest = "".join(f" {sign} {side}" for sign, side in zip(signs, sides[1:], strict=True))
        yield "shifted bound", node, f"({sides[0]}{rest})"
        yield "dropped bound", node, f"({sides[place]} {SIGN[type(operator)]} {sides[place + 1]})"


def _either(node: ast.BoolOp) -> Iterator[Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield "swapped and/or", node, _plain(ast.BoolOp(other, node.values))
    for place, _ in enumerate(node.values):
        left = _without(node.values, place)
        yield (
            "dropped condition",
            node,
            _plain(left[0] if len(left) == 1 else ast.BoolOp(node.op, left)),
        )


def _sign(node: ast.UnaryOp) -> Iterator[Change]:
    yield "dropped sign", node, _plain(node.operand)


def _sum(node: ast.BinOp) -> Iterator[Change]:
    if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str):
        return
    if other := OTHER_SIGN.get(type(node.op)):
        yield "other sign", node, _plain(ast.BinOp(node.left, other, node.right))


def _choice(node: ast.IfExp) -> Iterator[Change]:
    yield "always", node, _plain(node.body)
    yield "never", node, _plain(node.orelse)


def _branch(node: ast.If | ast.While) -> Iterator[Change]:
    if isinstance(node, ast.If):
        yield "never", node.test, _kept(node.test, "False")
        yield "always", node.test, _kept(node.test, "True")
    elif not isinstance(node.test, ast.Constant):
        yield "never", node.test, "False"


def _kept(test: ast.expr, constant: str) -> str:
    """What the test assigns by ``:=`` is still assigned."""
    text = ast.unparse(test)
    link = "and" if constant == "False" else "or"
    return f"(({text}) {link} {constant})" if ":=" in text else constant


def _constant(node: ast.Constant) -> Iterator[Change]:
    if isinstance(node.value, bool):
        yield "other truth", node, repr(not node.value)
    elif isinstance(node.value, int | float):
        yield "shifted constant", node, repr(node.value + 1)
        yield "shifted constant", node, f"({node.value - 1!r})"
    elif node.value in OTHER_TEXT:
        yield "shifted bound", node, repr(OTHER_TEXT[str(node.value)])


def _statement(node: ast.Expr) -> Iterator[Change]:
    if isinstance(node.value, ast.Yield | ast.YieldFrom):
        yield "dropped write", node, "yield from ()"
    elif isinstance(node.value, ast.Call | ast.Await):
        yield "dropped statement", node, "pass"


def _answer(node: ast.Return) -> Iterator[Change]:
    if node.value is not None and ast.unparse(node.value) not in ("None", "False"):
        yield "returns None", node.value, "None"


def _changed(node: ast.AugAssign) -> Iterator[Change]:
    yield "dropped statement", node, "pass"
    if other := OTHER_SIGN.get(type(node.op)):
        yield "other sign", node, ast.unparse(ast.AugAssign(node.target, other, node.value))


def _handler(node: ast.ExceptHandler) -> Iterator[Change]:
    if node.type is None:
        return
    if isinstance(node.type, ast.Tuple):
        for place, _ in enumerate(node.type.elts):
            yield "narrowed except", node.type, _plain(ast.Tuple(_without(node.type.elts, place)))
    else:
        yield "narrowed except", node.type, NEVER
    yield "widened except", node.type, "Exception"


def _jump(node: ast.Continue | ast.Break) -> Iterator[Change]:
    yield "other jump", node, "break" if isinstance(node, ast.Continue) else "continue"


def _part(node: ast.Subscript) -> Iterator[Change]:
    if (
        isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
        and isinstance(node.ctx, ast.Load)
    ):
        return  # a KeyError at once
    if isinstance(node.slice, ast.Slice):
        yield "dropped bound", node, _plain(node.value)


def _dropped(node: ast.Delete) -> Iterator[Change]:
    if not all(isinstance(target, ast.Name) for target in node.targets):
        yield "dropped statement", node, "pass"


_OF: Final[Mapping[type[ast.AST], Callable[[Any], Iterator[Change]]]] = {
    ast.Tuple: _container,
    ast.List: _container,
    ast.Set: _container,
    ast.Dict: _members,
    ast.Call: _call,
    ast.Compare: _compare,
    ast.BoolOp: _either,
    ast.UnaryOp: _sign,
    ast.BinOp: _sum,
    ast.IfExp: _choice,
    ast.If: _branch,
    ast.While: _branch,
    ast.Constant: _constant,
    ast.Expr: _statement,
    ast.Return: _answer,
    ast.AugAssign: _changed,
    ast.ExceptHandler: _handler,
    ast.Continue: _jump,
    ast.Break: _jump,
    ast.Subscript: _part,
    ast.Delete: _dropped,
}
