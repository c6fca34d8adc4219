"""Serves the local stack's address: passes requests to its HTTP API, bodies byte for byte."""

import uuid
from collections.abc import Iterable
from typing import Final

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

SET_BY_CLIENT: Final = (b"host", b"content-length")
HOP_BY_HOP: Final = frozenset(
    {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"}
)
"""Headers of one connection, not of the message: RFC 9110, section 7.6.1."""
ANSWER_SECONDS_MAX: Final = 30
"""The longest wait for an answer of the API, as in API Gateway itself:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""
BODY_BYTES_MAX: Final = 10 * 1024 * 1024


class Front:
    """Forwards each request to ``target``, the API's address in the embedded AWS.

    It is an ASGI application. It answers 503 until ``target`` is set, when the API is deployed.
    """

    def __init__(self) -> None:
        """Start without ``target``, the API's address. Until it is set, requests get a 503."""
        self.target = ""
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one HTTP request to the deployed API, and send its response back.

        There is no router here, because that API decides which paths and methods exist. Other ASGI
        events are ignored.
        """
        if scope["type"] == "http":
            answer = await self.forward(Request(scope, receive))
            await answer(scope, receive, send)

    async def forward(self, request: Request) -> Response:
        """Return the API's answer to a request.

        Bytes are not changed: signatures are over raw bytes, and compressed answers stay
        compressed.
        """
        if not self.target:
            return JSONResponse({"message": "The local stack is still starting"}, 503)
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            return _with_request_id(JSONResponse({"message": "Request Entity Too Large"}, 413))
        try:
            return _with_request_id(await self._send(request, body))
        except httpx.TimeoutException:
            return _with_request_id(JSONResponse({"message": "Endpoint request timed out"}, 504))
        except httpx.HTTPError:
            return _with_request_id(JSONResponse({"message": "Service Unavailable"}, 503))

    async def _send(self, request: Request, body: bytes) -> Response:
        """Send the request unchanged to the API, and return the answer.

        The request is built by hand, because httpx's client would add an Accept-Encoding header.
        """
        path = request.scope["raw_path"].decode().split("?")[0]
        url = f"{self.target}{path}"
        if query := request.scope["query_string"].decode():
            url += f"?{query}"
        pairs = _end_to_end(request.headers.raw)
        headers = [pair for pair in pairs if pair[0] not in SET_BY_CLIENT]
        limit = {"timeout": self._client.timeout.as_dict()}
        asked = httpx.Request(request.method, url, headers=headers, content=body, extensions=limit)
        found = await self._client.send(asked, stream=True)
        try:
            content = b"".join([part async for part in found.aiter_raw()])
        finally:
            await found.aclose()
        answer = Response(content, found.status_code)
        answer.raw_headers = _end_to_end(found.headers.raw)
        return answer


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _with_request_id(answer: Response) -> Response:
    """Return the answer with the header x-request-id, which is added if it is missing.

    API Gateway does the same for its own answers.
    """
    if "x-request-id" not in answer.headers:
        answer.headers["x-request-id"] = answer.headers.get("apigw-requestid", str(uuid.uuid4()))
    return answer
