"""Reads the stack's secrets. Functions that need no secret do not load its client."""

from functools import cache
from time import monotonic
from typing import Final

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from billing.errors import AwsRefusedError, OutcomeUnknownError, SettingsError
from billing.storage import aws_faults
from billing.stripe_api.signatures import usable_secrets
from billing.wiring.container import in_init, settings

SECRET_AGE_SECONDS_MAX: Final = 300
REREADS_AT_ONCE: Final = 20
"""Enough for a roll, and for a stranger who tries signatures now and then: a genuine delivery does
not wait for the next token."""
REREAD_SECONDS: Final = 10
"""Then one token in this time. A flood of forged signatures costs next to nothing, and hides a roll
no longer than this."""
CLIENT: Final = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2, "mode": "standard"},
)
"""A delivery may read its secret twice before it is settled: tests/repo adds the time-outs up."""


class TokenBucket:
    """A rate limit: ``capacity`` tokens at once, and one more every ``refill_seconds``.

    Its whole state is one time, the moment at which the bucket is full again:
    https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
    """

    def __init__(self, capacity: int, refill_seconds: int) -> None:
        """The bucket is full."""
        self._refill_seconds = refill_seconds
        self._full_in_seconds_max = (capacity - 1) * refill_seconds
        self._full_at = 0

    def take(self, now: int) -> bool:
        """Take a token, and return whether there was one.

        Each token moves ``full_at`` by ``refill_seconds`` into the future. With one token left it
        is at most ``capacity - 1`` refills ahead.
        """
        if self._full_at - now > self._full_in_seconds_max:
            return False
        self._full_at = max(self._full_at, now) + self._refill_seconds
        return True


class Reader:
    """A client of Secrets Manager that caches secrets.

    The cache of powertools imports boto3, which takes a twelfth of the webhook's cold start.
    """

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.client = botocore.session.get_session().create_client(
            "secretsmanager", config=CLIENT
        )
        self.store: dict[str, tuple[str, float]] = {}

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> str:
        """Return a secret's text, at most ``max_age`` seconds old.

        Raises botocore's errors.
        """
        known, now = self.store.get(name), monotonic()
        if known and not force_fetch:
            text, read_at = known
            if now - read_at < max_age:
                return text
        text = str(
            self.client.get_secret_value(SecretId=name).get("SecretString", "")
        )
        self.store[name] = (text, now)
        return text


@cache
def _provider() -> Reader:
    return Reader()


in_init(_provider)


@cache
def _rereads(name: str) -> TokenBucket:
    """One bucket for each secret, in each container."""
    del name
    return TokenBucket(REREADS_AT_ONCE, REREAD_SECONDS)


def _secret(name: str, *, fresh: bool) -> str:
    """Return a secret, at most five minutes old.

    ``fresh`` reads it again, after a roll, as far as the rate limit allows.
    """
    may_reread = fresh and _rereads(name).take(int(monotonic()))
    try:
        return _provider().get(
            name, max_age=SECRET_AGE_SECONDS_MAX, force_fetch=may_reread
        )
    except (BotoCoreError, ClientError) as error:
        message = (
            f"the secret {name} cannot be read: {aws_faults.code_of(error)}"
        )
        if aws_faults.is_final(error):
            raise AwsRefusedError(message) from error
        raise OutcomeUnknownError(message) from error


def read_secret(name: str) -> str:
    """Return a secret's text, at most five minutes old."""
    return _secret(name, fresh=False)


def webhook_secrets(fresh: bool) -> tuple[str, ...]:  # noqa: FBT001 - the signature's own protocol
    """Return the endpoint's signing secrets. There are several while one is being rolled.

    Raises SettingsError if there is none.
    """
    name = settings().webhook_secrets_secret
    try:
        return usable_secrets(_secret(name, fresh=fresh))
    except ValueError as error:
        raise _forget(name, str(error)) from error


def stripe_key(fresh: bool) -> str:  # noqa: FBT001 - the client's own protocol
    """Return Stripe's secret key. Raises SettingsError if there is none."""
    name = settings().stripe_key_secret
    if key := _secret(name, fresh=fresh).strip():
        return key
    raise _forget(name, "the secret with Stripe's key is blank")


def _forget(name: str, why: str) -> SettingsError:
    """Forget an unusable secret, so that the next request works once an operator has fixed it."""
    _provider().store.pop(name, None)
    return SettingsError(why)
