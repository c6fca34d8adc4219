"""The table of what calls cost: the most exact row counts, and faults are named with their line."""

import json
from typing import Any

import pytest
from billing.keys import cost_text, costs
from support.call_costs import CALLS, NO_TABLES, TABLE, UNREACHABLE, WRONG_ROWS, with_row, with_rows


def _table(*rows: tuple[str, str, Any], **members: Any) -> str:
    routes = [{"method": method, "path": path, "units": units} for method, path, units in rows]
    return json.dumps({"routes": routes, **members}, indent=1)


def test_the_table_that_is_shipped_says_nothing() -> None:
    """So that AuthorizeUnits counts until the seller writes a table."""
    table = costs.load(costs.FILE.read_text())
    assert (table.routes, table.default) == ((), None)


@pytest.mark.parametrize(
    ("method", "path", "units"),
    [
        ("GET", "/a/b", 1),
        ("POST", "/a/b", 2),
        ("GET", "/a/c", 3),
        ("PUT", "/a/c", 4),
        ("GET", "/a/c/d", 5),
        ("GET", "/a/c/d/e", 5),
        ("GET", "/a/x/d", 6),
        ("PUT", "/a/x/d", 7),
        ("GET", "/b", 8),
        ("GET", "/", None),
        ("GET", "/a/", 8),
        ("get", "/a/b", 1),
        ("GET", "", None),
    ],
)
def test_the_most_exact_row_counts(method: str, path: str, units: int | None) -> None:
    table = costs.load(
        _table(
            ("ANY", "/{proxy+}", 8),
            ("ANY", "/a/{proxy+}", 7),
            ("GET", "/a/{proxy+}", 6),
            ("ANY", "/a/c/{rest+}", 5),
            ("ANY", "/a/{id}", 4),
            ("GET", "/a/{id}", 3),
            ("ANY", "/a/b", 2),
            ("GET", "/a/b", 1),
        )
    )
    assert table.find(method, path) == units


def test_the_root_is_a_path() -> None:
    assert costs.load(_table(("GET", "/", 0))).find("GET", "/") == 0


def test_the_default_is_the_tables_own() -> None:
    assert costs.load(_table(default=0)).default == 0


@pytest.mark.parametrize("units", [-1, 1.5, 1.0, "1", None, True, 10**9 + 1, [1]], ids=repr)
def test_units_are_whole_and_not_too_many(units: Any) -> None:
    with pytest.raises(cost_text.CostsError, match=r"line 8: units must be a whole number"):
        costs.load(_table(("GET", "/a", 1), ("GET", "/b", units)))
    with pytest.raises(cost_text.CostsError, match="default must be a whole number"):
        costs.load(_table(default=units))


@pytest.mark.parametrize(
    "path",
    ["", "a", "/a/", "//a", "/a b", "/{}", "/a{b}", "/{a+}/b", "/{a", "/a?b=1", "/a#b", 7, None],
    ids=repr,
)
def test_a_path_that_no_route_has_is_refused(path: Any) -> None:
    with pytest.raises(cost_text.CostsError, match="line 3: path must be like"):
        costs.load(_table(("GET", path, 1)))


@pytest.mark.parametrize("method", ["get", "FETCH", "", None, 7], ids=repr)
def test_a_method_that_there_is_not_is_refused(method: Any) -> None:
    with pytest.raises(cost_text.CostsError, match="line 3: method must be one of"):
        costs.load(_table((method, "/a", 1)))


@pytest.mark.parametrize(
    ("first", "second"),
    [("/a", "/a"), ("/a/{id}", "/a/{name}"), ("/{proxy+}", "/{rest+}")],
)
def test_a_row_that_no_call_reaches_is_refused(first: str, second: str) -> None:
    with pytest.raises(
        cost_text.CostsError, match="line 8: unreachable, line 3 has the same calls"
    ):
        costs.load(_table(("GET", first, 1), ("GET", second, 2)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("[]", "the table must be an object"),
        ('{"routes": {}}', "routes must be a list"),
        ('{"routes": [7]}', "line 1: a route must be an object"),
        ('{\n"routes": [\n{"method": "GET"}]}', "line 3: path is missing"),
        ('{"route": []}', "'route' is unknown"),
        (
            '{"routes": [\n{"method": "GET", "path": "/a", "units": 1, "cost": 1}]}',
            "line 2: 'cost' is unknown",
        ),
        ('{"default": 1,\n"routes": [,]}', "line 2"),
        ('{"default": 1, "default": 2}', "'default' stands twice"),
        ('{"default": NaN}', "default must be"),
        ("[" * 100_000, "line 1"),
    ],
)
def test_a_text_that_is_no_table_says_where(text: str, said: str) -> None:
    with pytest.raises(cost_text.CostsError, match=said):
        costs.load(text)


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(cost_text.CostsError) as told:
        costs.load(_table(("get", "/a", 1), ("GET", "b", -1), more=1))
    assert str(told.value).count("line ") == 4


@pytest.mark.parametrize(("method", "path", "units"), CALLS)
def test_a_call_costs_what_the_client_says_too(method: str, path: str, units: int) -> None:
    table = costs.load(TABLE)
    found = table.find(method, path)
    assert (table.default if found is None else found) == units


@pytest.mark.parametrize("row", WRONG_ROWS)
def test_a_row_that_the_client_refuses_is_refused_with_its_line(row: str) -> None:
    with pytest.raises(cost_text.CostsError, match=r"^line 6: "):
        costs.load(with_row(row))


@pytest.mark.parametrize(("rows", "line"), UNREACHABLE)
def test_a_row_that_no_call_reaches_is_named_by_its_line(rows: list[str], line: int) -> None:
    with pytest.raises(cost_text.CostsError, match=f"^line {line}: "):
        costs.load(with_rows(rows))


@pytest.mark.parametrize(("text", "line"), NO_TABLES)
def test_a_text_that_the_client_refuses_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(cost_text.CostsError, match=f"^line {line}: "):
        costs.load(text)
