"""Holds a file of the web page, and answers requests for it.

The file is kept plain and compressed.
"""

import base64
import gzip
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from billing.api.request import Request


@dataclass(frozen=True, slots=True)
class Asset:
    """Holds a file of the web page, plain and compressed.

    ``tag`` is its ETag, a hash of its content.
    """

    type: str
    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, kind: str, text: str) -> "Asset":
        """Return a file of the web page with this text, also compressed.

        ``kind`` is ``html`` or ``javascript``.
        """
        content = text.encode()
        packed = gzip.compress(content, 9, mtime=0)
        return cls(
            f"text/{kind}; charset=utf-8",
            content,
            packed,
            sha256(content).hexdigest()[:20],
        )


def answer_with(
    request: Request, asset: Asset, guard: str, lifetime: str
) -> dict[str, Any]:
    """Return the answer with a file, or 304 if the caller has it already.

    ``guard`` is the Content Security Policy of the answer, and ``lifetime``
    its Cache-Control.
    """
    accepted = values_of(request, "accept-encoding")
    packs = not {"gzip", "gzip;q=1", "gzip;q=1.0"}.isdisjoint(accepted)
    suffix = "-gzip" if packs else ""
    tag = f'"{asset.tag}{sha256(guard.encode()).hexdigest()[:4]}{suffix}"'
    headers = {
        "cache-control": lifetime,
        "content-security-policy": guard,
        "etag": tag,
        "vary": "accept-encoding",
        "x-request-id": request.request_id,
    }
    if any(
        known.removeprefix("W/") in (tag, "*")
        for known in values_of(request, "if-none-match")
    ):
        return {"statusCode": 304, "headers": headers, "body": ""}
    headers["content-type"] = asset.type
    if packs:
        headers["content-encoding"] = "gzip"
    body = base64.b64encode(asset.packed if packs else asset.plain).decode()
    return {
        "statusCode": 200,
        "headers": headers,
        "body": body,
        "isBase64Encoded": True,
    }


def values_of(request: Request, header: str) -> list[str]:
    """Return the values of a header that is a comma-separated list.

    Spaces are removed.
    """
    return request.headers.get(header, "").replace(" ", "").split(",")
