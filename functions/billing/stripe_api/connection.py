"""The connection to Stripe: time-outs, retries, the secret key and a fixed API version."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import stripe

from billing import tracing
from billing.deadline import Deadline
from billing.stripe_api import refusals
from billing.stripe_api.outcomes import meaning, plain, unavailable

API_VERSION: Final = "2026-10-28.endive"
"""The version of Stripe's API that the pinned package ``stripe`` was made for.
"""
CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 5
_Object = TypeVar("_Object", bound=stripe.StripeObject)
_KEY_REFUSED: Final = (stripe.AuthenticationError, stripe.PermissionError)


class Connection:
    """Sends requests to Stripe. It makes one client for each secret key.

    ``read_key(fresh)`` returns the secret key. With ``fresh`` it must read the key again.
    """

    def __init__(
        self, read_key: Callable[[bool], str], api_base: str, deadline: Deadline
    ) -> None:
        """``api_base`` is https://api.stripe.com, or a simulator.

        ``read_key(fresh)`` returns Stripe's secret key. No request is
        retried after ``deadline``.
        """
        self._read_key = read_key
        self._api_base = api_base
        self._deadline = deadline
        self._key = ""
        self._client: stripe.StripeClient | None = None

    def key(self) -> str:
        """Return the secret key as it was last read."""
        return self._key or self._read_key(False)  # noqa: FBT003 - the reader's own protocol

    def ask(
        self,
        call: Callable[[stripe.StripeClient], _Object],
        personal: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Send ``call`` to Stripe, and return the object that Stripe answers.

        Temporary errors are retried until the deadline. If Stripe refuses our
        secret key, the key is read again once, because it may have been rolled
        (https://docs.stripe.com/keys#rolling-keys). ``personal`` are values in
        the request that must not be logged. Raises StripeNotFoundError,
        StripeServerError, StripeRefusedError, or BillingError
        ``stripe_unavailable``.
        """
        last: stripe.StripeError | None = None
        key_is_stale = key_was_reread = False
        for _ in self._deadline.attempts():
            client = self._client_for(self._read_key(key_is_stale))
            key_was_reread = key_was_reread or key_is_stale
            try:
                with tracing.call("Stripe"):
                    return plain(call(client))
            except stripe.StripeError as error:
                last = error
            key_is_stale = isinstance(last, _KEY_REFUSED) and not key_was_reread
            if not key_is_stale and not refusals.passes(last):
                raise meaning(last, personal) from last
        raise unavailable("Stripe did not answer in time") from last

    def _client_for(self, key: str) -> stripe.StripeClient:
        """Return the Stripe client for a secret key.

        The last client is kept, and replaced when the key changes.
        """
        if self._client is None or key != self._key:
            self._key = key
            self._client = stripe.StripeClient(
                key,
                stripe_version=API_VERSION,
                base_addresses={"api": self._api_base},
                # we retry ourselves, within the request's deadline; the SDK never repeats a 429
                max_network_retries=0,
                http_client=stripe.RequestsClient(
                    timeout=(CONNECT_SECONDS, READ_SECONDS)
                ),
            )
        return self._client
