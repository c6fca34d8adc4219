"""Reads the stack's secrets from Secrets Manager.

Functions that need no secret do not load the client.
"""

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
"""How often a secret may be read again at once. It is enough after a roll,
even if somebody has just tried some forged signatures: a genuine delivery
need not wait.
"""
REREAD_SECONDS: Final = 10
"""After that, a secret may be read again once in this time. So a flood of
forged signatures costs next to nothing, and delays the new secret after a
roll by no more than this.
"""
CLIENT: Final = Config(
    connect_timeout=1,
    read_timeout=1,
    retries={"total_max_attempts": 2, "mode": "standard"},
)
"""A delivery may read its secret twice before it is settled: tests/repo
computes the sum of the time-outs.
"""


class TokenBucket:
    """A rate limit: ``capacity`` tokens at once, and one more each refill.

    A refill takes ``refill_seconds``. The only state is the time at which
    the bucket will be full again:
    https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
    """

    def __init__(self, capacity: int, refill_seconds: int) -> None:
        """Start with a full bucket: ``capacity`` tokens can be taken at once.

        One more is added every ``refill_seconds``.
        """
        self._refill_seconds = refill_seconds
        self._full_in_seconds_max = (capacity - 1) * refill_seconds
        self._full_at = 0

    def take(self, now: int) -> bool:
        """Take a token, and return whether there was one.

        Each token moves the time at which the bucket is full by
        ``refill_seconds``. If that time is more than ``capacity - 1`` refills
        ahead, the bucket is empty.
        """
        if self._full_at - now > self._full_in_seconds_max:
            return False
        self._full_at = max(self._full_at, now) + self._refill_seconds
        return True


class Reader:
    """Reads secrets from Secrets Manager, and keeps them in memory.

    It replaces the cache of powertools, which imports boto3: that takes a
    twelfth of the webhook's cold start.
    """

    def __init__(self) -> None:
        """Create the client of Secrets Manager, without reading any secret."""
        self.client = botocore.session.get_session().create_client(
            "secretsmanager", config=CLIENT
        )
        self.store: dict[str, tuple[str, float]] = {}

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> str:
        """Return a secret's text, at most ``max_age`` seconds old.

        With ``force_fetch``, it is read again. Raises botocore's errors.
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
    """Return this process's rate limit for reading one secret again."""
    del name
    return TokenBucket(REREADS_AT_ONCE, REREAD_SECONDS)


def _secret(name: str, *, fresh: bool) -> str:
    """Return a secret's text, at most five minutes old.

    With ``fresh``, it is read again, if the rate limit allows that. Raises
    AwsRefusedError if AWS would refuse it again, and OutcomeUnknownError
    for a temporary error.
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
    """Return the signing secrets of the webhook endpoint.

    There are several while one is being rolled. With ``fresh``, they are
    read again. Raises SettingsError if there is none.
    """
    name = settings().webhook_secrets_secret
    try:
        return usable_secrets(_secret(name, fresh=fresh))
    except ValueError as error:
        raise _forget(name, str(error)) from error


def stripe_key(fresh: bool) -> str:  # noqa: FBT001 - the client's own protocol
    """Return Stripe's secret key.

    With ``fresh``, it is read again. Raises SettingsError if it is blank.
    """
    name = settings().stripe_key_secret
    if key := _secret(name, fresh=fresh).strip():
        return key
    raise _forget(name, "the secret with Stripe's key is blank")


def _forget(name: str, why: str) -> SettingsError:
    """Remove a secret from the cache, and return a SettingsError to raise.

    ``why`` is the error's text. The secret is unusable. Once an operator has
    repaired it, the next request reads it again.
    """
    _provider().store.pop(name, None)
    return SettingsError(why)
