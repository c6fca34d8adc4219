"""The stand's front: what goes in and out are the bytes and headers of the other side."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from simulator.lab import served
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from infra.local.front import Front

PACKED = gzip.compress(b"a page" * 100, mtime=0)


@dataclass
class Api:
    """Stands behind a front: remembers what came, and answers compressed, whoever asks."""

    front: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        self.got.append(
            (
                f"{scope['raw_path'].decode()}?{request.url.query}",
                dict(request.headers),
                await request.body(),
            )
        )
        answer = Response(
            PACKED,
            201,
            headers={"content-encoding": "gzip", "etag": '"1-gzip"', "set-cookie": "a=1"},
        )
        answer.headers.append("set-cookie", "b=2")
        await answer(scope, receive, send)


@pytest.fixture
def api() -> Iterator[Api]:
    """An API with a front before it."""
    found, front = Api(), Front()
    with (
        served(lambda _: found) as target,
        served(lambda _: front) as url,
    ):
        front.target, found.front = f"{target}/stage", url
        yield found


def test_a_compressed_answer_arrives_as_it_was_sent(api: Api) -> None:
    """The bytes, and every header that speaks of them: a browser then receives what the function's
    ETag names.
    """
    with httpx.stream(
        "GET", f"{api.front}/site/app.js", headers={"accept-encoding": "gzip"}, trust_env=False
    ) as answer:
        raw = b"".join(answer.iter_raw())
    assert (answer.status_code, raw) == (201, PACKED)
    assert (answer.headers["content-encoding"], answer.headers["etag"]) == ("gzip", '"1-gzip"')
    assert answer.headers["content-length"] == str(len(PACKED))
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_request_gets_there_with_its_own_headers_and_no_others(api: Api) -> None:
    """Above all no accept-encoding of the front's client: the function would compress for somebody
    who cannot read it.
    """
    asked = httpx.Request(
        "POST",
        f"{api.front}/a%2Fb?c=%2B&c=2",
        headers={"host": "localhost", "x-one": "1"},
        content=b"\x00body",
    )
    with httpx.Client(trust_env=False) as client:
        client.send(asked)
    ((path, headers, body),) = api.got
    assert body == b"\x00body"
    assert path.endswith("?c=%2B&c=2")
    assert set(headers) == {"host", "x-one", "content-length"}


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/a%0Ab"), ("GET", "/%0A"), ("TRACE", "/a"), ("BREW", "/a")]
)
def test_what_a_path_may_hold_and_which_methods_there_are_is_the_apis_business(
    api: Api, method: str, path: str
) -> None:
    """A router that knows no line feed answered by itself, in another form than the API's."""
    answer = httpx.request(method, f"{api.front}{path}", trust_env=False)
    assert answer.status_code == 201
    assert [asked for asked, _, _ in api.got] == [f"/stage{path}?"]
