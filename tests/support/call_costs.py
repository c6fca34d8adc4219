"""Tables of call costs, and what they mean, for the authorizer and the client alike."""

import json
from typing import Final

TABLE: Final = """{
  "default": 1,
  "routes": [
    {"method": "GET", "path": "/v1/search/{proxy+}", "units": 2},
    {"method": "ANY", "path": "/v1/search/{proxy+}", "units": 3},
    {"method": "ANY", "path": "/v1/search/deep/{proxy+}", "units": 20},
    {"method": "GET", "path": "/v1/reports/{id}", "units": 5},
    {"method": "ANY", "path": "/v1/reports/{id}", "units": 6},
    {"method": "ANY", "path": "/v1/reports/today", "units": 7},
    {"method": "GET", "path": "/v1/reports/{id}/pages/{page}", "units": 8},
    {"method": "ANY", "path": "/v1/reports/{proxy+}", "units": 9},
    {"method": "ANY", "path": "/health", "units": 0},
    {"method": "POST", "path": "/health", "units": 1000000000},
    {"method": "GET", "path": "/", "units": 4}
  ]
}
"""


def _row(**members: object) -> str:
    return json.dumps({"method": "GET", "path": "/a", "units": 1, **members})


CALLS: Final = [
    ("GET", "/", 4),
    ("POST", "/", 1),
    ("GET", "/health", 0),
    ("DELETE", "/health", 0),
    ("POST", "/health", 1_000_000_000),
    ("GET", "/health/", 1),
    ("GET", "/healthy", 1),
    ("GET", "/Health", 1),
    ("GET", "/v1/search", 1),
    ("GET", "/v1/search/", 1),
    ("GET", "/v1/search/cats", 2),
    ("GET", "/v1/search/cats/black", 2),
    ("POST", "/v1/search/cats", 3),
    ("GET", "/v1/search/deep", 2),
    ("GET", "/v1/search/deep/sea", 20),
    ("GET", "/v1/reports/7", 5),
    ("PUT", "/v1/reports/7", 6),
    ("GET", "/v1/reports/today", 7),
    ("GET", "/v1/reports/", 1),
    ("GET", "/v1/reports/7/pages/1", 8),
    ("PUT", "/v1/reports/7/pages/1", 9),
    ("GET", "/v1/reports/7/pages", 9),
    ("GET", "/v1/reports//pages/1", 9),
    ("GET", "/v1/search//", 1),
    ("GET", "/v1/search//cats", 2),
    ("get", "/v1/reports/7", 5),
    ("GET", "/v2/search/cats", 1),
]
"""Method, decoded path, and units by TABLE."""
WRONG_ROWS: Final = [
    *(_row(units=units) for units in (-1, 1.5, 1.0, 1_000_000_001, "1", True, None, [1])),
    *(_row(method=method) for method in ("get", "FETCH", "", None, "GET ", "*")),
    *(_row(path=path) for path in ("a", "", "/a/", "//a", "/a?b", "/a b", "/a%20b", None, 5)),
    *(_row(path=path) for path in ("/{proxy+}/a", "/a{b}", "/{}", "/{a+}{b}", "/a/../b", "/{a")),
    _row(note="dear"),
    '{"method": "GET", "path": "/a"}',
    '{"method": "GET", "path": "/a", "units": 1, "units": 2}',
    '{"method": "GET", "path": "/a", "units": NaN}',
    '"GET /a"',
    "[]",
]
UNREACHABLE: Final = [
    ([_row(), _row(path="/b"), _row(units=2)], 4),
    ([_row(path="/a/{x}"), _row(path="/a/{y}")], 3),
    ([_row(path="/a/{x+}"), _row(path="/a/{y+}")], 3),
    (
        [
            _row(method="ANY"),
            *(
                _row(method=method)
                for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
            ),
        ],
        2,
    ),
]
"""Rows, the first of them in line 2, and the line of the one that no call reaches."""
NO_TABLES: Final = [
    ("", 1),
    ("[]", 1),
    ("\n\n5", 3),
    ('{"default": 1,\n"routes": [\n}', 3),
    ('{"routes": [1]}', 1),
    ('{"default": null}', 1),
    ('{"default": 1, "routes": [], "more": 1}', 1),
    ('{"default": 1, "default": 2, "routes": []}', 1),
    ('{"routes": [],\n"default": -1}', 2),
    ('{"default": 1,\n"routes": {}}', 2),
]
"""Texts, and the line of what is wrong."""


def with_row(row: str) -> str:
    """Return a table with a row in line 6."""
    fine = _row(path="/fine")
    return f'{{\n"default": 1,\n"routes": [\n{fine},\n\n{row}\n]}}\n'


def with_rows(rows: list[str]) -> str:
    """Return a table with rows from line 2 on."""
    return '{"default": 1, "routes": [\n' + ",\n".join(rows) + "]}"
