"""The one address people use: passes every request to the stack's HTTP API, byte for byte, and the answer back."""

import uuid
from collections.abc import Iterable
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"}
)
"""RFC 9110, section 7.6.1: they speak of one connection, not of the message."""
ANSWER_SECONDS_MAX: Final = 30
"""API Gateway's own:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
BODY_BYTES_MAX: Final = 10 * 1024 * 1024


class Front:
    """Knows where the API is, once it has been deployed."""

    def __init__(self) -> None:
        """Not ready yet."""
        self.target = ""
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application.

        No router: what a path may hold, a line feed too, and which methods there are is the API's
        business.
        """
        if scope["type"] == "http":
            answer = await self.forward(Request(scope, receive))
            await answer(scope, receive, send)

    async def forward(self, request: Request) -> Response:
        """Signatures are over the raw bytes, and a compressed answer stays compressed: nothing is parsed, nothing is added."""
        if not self.target:
            return JSONResponse({"message": "The stand is still starting"}, 503)
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            return _marked(JSONResponse({"message": "Request Entity Too Large"}, 413))
        try:
            return _marked(await self._asked(request, body))
        except httpx.TimeoutException:
            return _marked(JSONResponse({"message": "Endpoint request timed out"}, 504))
        except httpx.HTTPError:
            return _marked(JSONResponse({"message": "Service Unavailable"}, 503))

    async def _asked(self, request: Request, body: bytes) -> Response:
        """A request made by hand: the client's own would say that it takes every encoding."""
        path, query = (
            request.scope["raw_path"].decode().split("?")[0],
            request.scope["query_string"].decode(),
        )
        url = f"{self.target}{path}" + (f"?{query}" if query else "")
        headers = [
            pair
            for pair in _lasting(request.headers.raw)
            if pair[0] not in (b"host", b"content-length")
        ]
        limit = {"timeout": self._client.timeout.as_dict()}
        asked = httpx.Request(request.method, url, headers=headers, content=body, extensions=limit)
        found = await self._client.send(asked, stream=True)
        try:
            answer = Response(
                b"".join([part async for part in found.aiter_raw()]), found.status_code
            )
        finally:
            await found.aclose()
        answer.raw_headers = _lasting(found.headers.raw)
        return answer


def _lasting(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _marked(answer: Response) -> Response:
    """API Gateway's own refusals carry its request id; ours too."""
    if "x-request-id" not in answer.headers:
        answer.headers["x-request-id"] = answer.headers.get("apigw-requestid", str(uuid.uuid4()))
    return answer
