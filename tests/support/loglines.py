"""All that a stand's functions have logged, invocation by invocation; and what must never be among
it.
"""

import base64
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError
from support.stand import Stand

WINDOW_MS: Final = 60_000
EVENTS_MAX: Final = 10_000
"""FilterLogEvents gives no more at once, and the embedded AWS gives no token to go on with."""
PLATFORM: Final = re.compile(
    r"(INIT_START|START|END|REPORT|XRAY)\b.*(RequestId|Runtime Version|TraceId): "
)
"""https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html"""
DURATION: Final = re.compile(r"^REPORT .*?\tDuration: ([\d.]+) ms", re.MULTILINE)
NEVER: Final = {
    "a webhook's signing secret": re.compile(r"whsec_\w{6}"),
    "a key of Stripe": re.compile(r"\b[rs]k_(test|live)_\w{6}"),
    "a customer's key": re.compile(r"\btk_[a-z]+_\w{6}"),
    "a token": re.compile(r"\beyJ[\w-]{8}"),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2}"),
    "a signature": re.compile(r"\bv1=[0-9a-f]{8}|stripe-signature", re.IGNORECASE),
    "an authorization": re.compile(r"\bbearer [\w.-]{8}|x-api-key", re.IGNORECASE),
    "an object of Stripe": re.compile(r'\\?"(object|livemode|customer_details|payment_intent)\\?"'),
}

BASE64: Final = re.compile(r"[A-Za-z0-9_-]{16,}")
PRINTABLE: Final = re.compile(r"[ -~]{12,}")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a function, by its logical id: the lines that it logged, without Lambda's own,
    and what Lambda's report says of it.
    """

    function: str
    lines: tuple[str, ...]
    ended: float
    """Epoch seconds."""
    milliseconds: float

    @property
    def failed(self) -> bool:
        """An exception that the handler let go leaves a traceback, which is no JSON."""
        return not all(line.startswith("{") for line in self.lines)

    def objects(self) -> list[dict[str, Any]]:
        """The lines, parsed, without a traceback."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]


def invocations(stand: Stand) -> Iterator[Invocation]:
    """Of all functions, since the stand was started.

    A stream is one invocation: so the embedded AWS does it.
    """
    logs = stand.boto("logs")
    begun = int((stand.state / "stand.json").stat().st_mtime * 1000) - 10 * WINDOW_MS
    for function, name in stand.resources().items():
        if function.endswith("Function"):
            streams: dict[str, list[dict[str, Any]]] = {}
            for event in _events(logs, f"/aws/lambda/{name}", begun):
                streams.setdefault(event["logStreamName"], []).append(event)
            yield from (_invocation(function, events) for events in streams.values())


def _invocation(function: str, events: Sequence[Mapping[str, Any]]) -> Invocation:
    lines = [event["message"] for event in events]
    duration = DURATION.search("\n".join(lines))
    own = tuple(line for line in lines if not PLATFORM.match(line))
    return Invocation(
        function, own, events[-1]["timestamp"] / 1000, float(duration[1]) if duration else 0.0
    )


def _events(logs: Any, group: str, start_ms: int) -> Iterator[dict[str, Any]]:
    """Window by window."""
    for begin in range(start_ms, int(time.time() * 1000) + 1, WINDOW_MS):
        try:
            found = logs.filter_log_events(
                logGroupName=group, startTime=begin, endTime=begin + WINDOW_MS - 1
            )["events"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return  # a function that was never called has no log
            raise
        assert len(found) < EVENTS_MAX, "some lines were cut off: make WINDOW_MS smaller"
        yield from found


def leaks(text: str, known: Iterable[str] = ()) -> list[str]:
    """What of NEVER is in a text, and which of the ``known`` secrets; in base64
    too, as within ids.
    """
    whole = "\n".join([text, *_decoded(text)])
    return [what for what, form in NEVER.items() if form.search(whole)] + [
        f"known: {secret}" for secret in known if secret in whole
    ]


def _decoded(text: str) -> Iterator[str]:
    """Printable text that stands there in base64, wherever in a word it begins."""
    for word in BASE64.findall(text):
        for begin in range(4):
            part = (
                word[begin:-1] if (len(word) - begin) % 4 == 1 else word[begin:]
            )  # one letter over is no byte
            yield from PRINTABLE.findall(
                base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")
            )
