"""Parses form-encoded bodies and queries, nested by brackets as in Stripe's API.

https://docs.stripe.com/api
"""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from infra.stripe_simulator.errors import StripeFault

_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")
DEPTH_MAX: Final = 12
"""Stripe's own parameters nest six levels deep. More is an attack or a mistake."""
FIELDS_MAX: Final = 1000


def parse(text: str) -> dict[str, Any]:
    """Return a form as nested data: ``a[b][0]=c`` and ``a[b][]=c`` become ``{"a": {"b": ["c"]}}``.

    Raises StripeFault if a name is malformed, is given twice, or contradicts another.
    """
    try:
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise StripeFault(
            400, f"Invalid request: at most {FIELDS_MAX} parameters are read."
        ) from error
    tree: dict[str, Any] = {}
    for name, value in fields:
        _insert(tree, name, value)
    return {name: _lists(name, value) for name, value in tree.items()}


def _insert(tree: dict[str, Any], name: str, value: str) -> None:
    match = _NAME.fullmatch(name)
    if match is None:
        raise StripeFault(
            400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name
        )
    head, *inner = match[1], *_PART.findall(match[2])
    if len(inner) > DEPTH_MAX:
        raise StripeFault(400, f"Invalid hash: {head} is nested too deep", param=head)
    *path, last = head, *inner
    for part in path:
        tree = tree.setdefault(part or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise StripeFault(
                400, f"Invalid hash: {head} is given both with and without brackets", param=head
            )
    last = last or str(len(tree))
    if last in tree:
        raise StripeFault(400, f"Invalid request: {name} is given twice", param=head)
    tree[last] = value


def _lists(name: str, value: Any) -> Any:
    """Return ``value`` with every dict whose keys are numbers replaced by a list.

    A dict named ``metadata`` stays as it is, because the caller chose its keys.
    """
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(key, member) for key, member in value.items()}
    if name == "metadata" or not inner or not all(key.isdecimal() for key in inner):
        return inner
    return [inner[key] for key in sorted(inner, key=int)]
