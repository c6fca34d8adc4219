"""Reads from an authorizer's event which call is made, and what it costs."""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from billing.keys.costs import Costs

DECODED_TIMES: Final = 2
"""How often a path may be decoded: REST APIs pass it as it was sent, HTTP APIs
decode it once, and the application behind may decode it once more.
"""
EXECUTE_API: Final = ".execute-api."
"""A part of the domain of each API Gateway's own endpoint. No custom domain
has it.
"""


class Call(NamedTuple):
    """The method, path and route of a call of the seller's API.

    They are read from the event of a Lambda authorizer. One that the event
    does not have is "".
    """

    method: str
    path: str
    route: str
    """The path of API Gateway's route, for example ``/items/{id}``."""

    @property
    def readings(self) -> Iterator[str]:
        """Yield each path that the application may read from ``path``.

        It may be decoded or not, and have dots and double slashes resolved or
        not.
        https://datatracker.ietf.org/doc/html/rfc3986#section-6.2.2
        """
        path = self.path
        for _ in range(DECODED_TIMES + 1):
            yield path
            yield _resolve(path)
            path = unquote(path)


def cost_of(table: Costs, event: Mapping[str, Any], default: int) -> int:
    """Return the units that a call costs.

    ``table`` is the seller's cost table. Its row for the call's path counts
    first, then its row for the call's route, then its default, then
    ``default``. If the path can be read in several ways, the highest cost
    counts, so that a different spelling never makes a call cheaper.
    """
    call = read_call(event)
    of_route = table.find(call.method, call.route)
    otherwise = default if table.default is None else table.default
    if of_route is not None:
        otherwise = of_route
    found = {table.find(call.method, path) for path in call.readings}
    return max(otherwise if units is None else units for units in found)


def read_call(event: Mapping[str, Any]) -> Call:
    """Return the call that an authorizer's event is about.

    The event is of an HTTP API or a REST API. An HTTP API's path is
    decoded, and starts with the stage, unless the stage is ``$default`` or
    the domain is the seller's own. A REST API's path is encoded and has no
    stage. A TOKEN authorizer's event has only ``methodArn``:
    ``arn:...:api/stage/METHOD/path``.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-input.html
    https://github.com/middleapi/standard-server/pull/93 (which of them decode)
    """
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    method = str(http.get("method") or event.get("httpMethod") or "")
    if not method:
        return _of_arn(str(event.get("methodArn")))
    path = str(event.get("rawPath") or event.get("path") or "")
    domain = str(context.get("domainName") or EXECUTE_API)
    stage = f"/{context.get('stage')}"
    is_http_api = "version" in event and EXECUTE_API in domain
    if is_http_api and f"{path}/".startswith(f"{stage}/"):
        path = path.removeprefix(stage) or "/"
    route = str(event.get("resource") or event.get("routeKey") or "")
    return Call(method, path, route.rpartition(" ")[2])


def _of_arn(arn: str) -> Call:
    _, _, rest = arn.partition("/")
    _, method, *parts = [*rest.split("/", 2), "", ""]
    return Call(method, f"/{parts[0]}", "")


def _resolve(path: str) -> str:
    """Return a path without empty segments, ``.`` and ``..``.

    A slash at its end is removed too.
    """
    return posixpath.normpath(f"/{path.lstrip('/')}")
