"""The stack's secrets, read where they are needed only: reading a quota must not pay for importing their reader."""

from functools import cache
from time import monotonic

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from billing.errors import AwsRefusedError, OutcomeUnknownError, SettingsError
from billing.storage import aws_faults
from billing.stripe_api.signatures import usable_secrets
from billing.wiring.container import in_init, settings

SECRET_AGE_SECONDS_MAX = 300
REREADS_AT_ONCE = 20
"""Enough for a roll, and for somebody who tries signatures now and then: no genuine delivery waits
for the next."""
REREAD_SECONDS = 10
"""After those, one in so long: a flood of forged signatures costs next to nothing, and hides a roll
no longer than this."""
CLIENT = Config(
    connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2, "mode": "standard"}
)
"""A delivery may read its secret twice before it is settled: tests/repo holds the sum."""


class Allowance:
    """So many at once, then one in so many seconds; a quiet time gives them back, one by one."""

    def __init__(self, at_once: int, every_seconds: int) -> None:
        """Nothing is spent."""
        self._ahead_seconds = (at_once - 1) * every_seconds
        self._every_seconds = every_seconds
        self._spent_until = 0

    def take(self, now: int) -> bool:
        """Whether there is one left, at this second.

        The whole state is one time: https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm.
        """
        if self._spent_until > now + self._ahead_seconds:
            return False
        self._spent_until = max(self._spent_until, now) + self._every_seconds
        return True


class Reader:
    """Secrets Manager, and what it said a while ago. powertools' own brings boto3, which is a twelfth of the webhook's start."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.client = botocore.session.get_session().create_client("secretsmanager", config=CLIENT)
        self.store: dict[str, tuple[str, float]] = {}

    def get(self, name: str, *, max_age: int, force_fetch: bool) -> str:
        """The secret's text, at most ``max_age`` seconds old, or of now.

        Raises what botocore raises.
        """
        known, now = self.store.get(name), monotonic()
        if known and not force_fetch and now - known[1] < max_age:
            return known[0]
        value = str(self.client.get_secret_value(SecretId=name).get("SecretString", ""))
        self.store[name] = (value, now)
        return value


@cache
def _provider() -> Reader:
    return Reader()


in_init(_provider)


@cache
def _rereads(name: str) -> Allowance:
    """One for each secret, in each container."""
    del name
    return Allowance(REREADS_AT_ONCE, REREAD_SECONDS)


def _secret(name: str, *, fresh: bool) -> str:
    """Cached for at most five minutes; ``fresh`` reads anew, after a roll, as far as the allowance goes."""
    try:
        anew = fresh and _rereads(name).take(int(monotonic()))
        value = _provider().get(name, max_age=SECRET_AGE_SECONDS_MAX, force_fetch=anew)
    except (BotoCoreError, ClientError) as error:
        message = f"the secret {name} cannot be read: {aws_faults.code_of(error)}"
        if aws_faults.is_final(error):
            raise AwsRefusedError(message) from error
        raise OutcomeUnknownError(message) from error
    return value


def webhook_secrets(fresh: bool) -> tuple[str, ...]:  # noqa: FBT001 - the signature's own protocol
    """The endpoint's signing secrets; several while one is being rolled.

    Raises SettingsError rather than work with none.
    """
    name = settings().webhook_secrets_secret
    try:
        return usable_secrets(_secret(name, fresh=fresh))
    except ValueError as error:
        raise _of_no_use(name, str(error)) from error


def stripe_key(fresh: bool) -> str:  # noqa: FBT001 - the gateway's own protocol
    """Stripe's secret key. Raises SettingsError rather than work with none."""
    name = settings().stripe_key_secret
    if key := _secret(name, fresh=fresh).strip():
        return key
    raise _of_no_use(name, "the secret with Stripe's key is blank")


def _of_no_use(name: str, why: str) -> SettingsError:
    """It is not remembered: once somebody has mended it, the next request works."""
    _provider().store.pop(name, None)
    return SettingsError(why)
