"""The one address people use: passes every request to the stack's HTTP API, byte for byte, and the answer back."""

import uuid
from typing import Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "content-length", "content-encoding"}
)
ANSWER_SECONDS_MAX: Final = 30
"""API Gateway's own: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
BODY_BYTES_MAX: Final = 10 * 1024 * 1024


class Front:
    """Knows where the API is, once it has been deployed."""

    def __init__(self) -> None:
        """Not ready yet."""
        self.target = ""
        limits = httpx.Limits(max_connections=256, max_keepalive_connections=64)
        self._client = httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, limits=limits, trust_env=False)

    def app(self) -> Starlette:
        """As an ASGI application."""
        return Starlette(routes=[Route("/{path:path}", self.forward, methods=METHODS)])

    async def forward(self, request: Request) -> Response:
        """Signatures are over the raw bytes: nothing is parsed and nothing is added."""
        if not self.target:
            return JSONResponse({"message": "The stand is still starting"}, 503)
        body = await request.body()
        if len(body) > BODY_BYTES_MAX:
            return _marked(JSONResponse({"message": "Request Entity Too Large"}, 413))
        headers = [(name, value) for name, value in request.headers.raw if name.decode().lower() not in ("host", *HOP_BY_HOP)]
        path = request.scope["raw_path"].decode().split("?")[0]
        url = f"{self.target}{path}" + (f"?{request.url.query}" if request.url.query else "")
        try:
            found = await self._client.request(request.method, url, content=body, headers=headers)
        except httpx.TimeoutException:
            return _marked(JSONResponse({"message": "Endpoint request timed out"}, 504))
        except httpx.HTTPError:
            return _marked(JSONResponse({"message": "Service Unavailable"}, 503))
        answer = Response(found.content, found.status_code)
        answer.raw_headers = [(name.lower(), value) for name, value in found.headers.raw if name.decode().lower() not in HOP_BY_HOP] + [
            (b"content-length", str(len(found.content)).encode())
        ]
        return _marked(answer)


def _marked(answer: Response) -> Response:
    """API Gateway's own refusals carry its request id; ours too."""
    if "x-request-id" not in answer.headers:
        answer.headers["x-request-id"] = answer.headers.get("apigw-requestid", str(uuid.uuid4()))
    return answer
