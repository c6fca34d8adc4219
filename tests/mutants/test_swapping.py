import ast

from mutants.swapping import HIT, _Noting

SOURCE = """
def f(a):
    match a:
        case 1:
            b()
        case _:
            c()
    try:
        d()
    except E:
        e()
    else:
        g()
    finally:
        h()
    for i in a:
        j()
    with k:
        l()
    if m:
        n()
    else:
        o()
"""


def test_every_statement_of_a_function_is_noted_when_it_is_reached() -> None:
    """Also those in a case of a match: else a fault there would seem to have no test."""
    tree = ast.parse(SOURCE)
    whole = {node.lineno for node in ast.walk(tree.body[0]) if isinstance(node, ast.stmt)}
    noted = {
        ast.literal_eval(node.args[0])[1]
        for node in ast.walk(_Noting("a.py").visit(ast.parse(SOURCE)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == HIT
    }
    assert noted == whole - {2}
