"""Remembers why no hold came, so that callers are refused at once instead of asking again each."""

from dataclasses import dataclass
from math import inf
from typing import Final

from topup_client.errors import (
    InvalidKey,
    KeyLimitReached,
    OutcomeUnknown,
    QuotaExhausted,
    TopupError,
    Unavailable,
)
from topup_client.terms import Terms

TROUBLE_SECONDS_FIRST: Final = 0.5
TROUBLE_SECONDS_MAX: Final = 8.0
"""How long a failed fetch is remembered: callers are refused at once instead of queueing for a
service that does not answer."""


@dataclass(slots=True)
class Memory:
    """The last error of a fetch, for how long it is repeated, and when to fetch ahead again."""

    terms: Terms
    quiet_until: float = -inf
    """Until then nothing is fetched ahead of need."""
    _error: TopupError | None = None
    _until: float = -inf
    _trouble_seconds: float = TROUBLE_SECONDS_FIRST

    def note(self, error: TopupError, now: float) -> None:
        """No hold came. After trouble the next request waits, each time longer."""
        self._error = error
        if isinstance(error, QuotaExhausted | KeyLimitReached):
            self._until = now + self.terms.refusal_seconds
            self.ran_out(now)
        else:
            self._until = self.quiet_until = now + self._trouble_seconds
            self._trouble_seconds = min(2 * self._trouble_seconds, TROUBLE_SECONDS_MAX)

    def ran_out(self, now: float) -> None:
        """The service has no more for now."""
        self.quiet_until = now + max(self.terms.refusal_seconds, self.terms.lifetime_seconds / 4)

    def fetched(self) -> None:
        """A hold came: trouble is over. A refusal stays for those who ask for more."""
        self._trouble_seconds = TROUBLE_SECONDS_FIRST
        if not isinstance(self._error, QuotaExhausted | KeyLimitReached):
            self._error = None

    def gave_back(self) -> None:
        """Units went back: they may be asked for at once."""
        self.quiet_until = -inf
        if isinstance(self._error, QuotaExhausted | KeyLimitReached):
            self._error = None

    def complain(self, left: int, now: float) -> None:
        """Raise what the last fetch met, if that was a moment ago. ``left`` units are here, too."""
        if now >= self._until:
            return
        match self._error:
            case None:
                return
            case QuotaExhausted(remaining=remaining, top_up_url=url):
                raise QuotaExhausted(left + remaining, url)
            case KeyLimitReached(limit_remaining=remaining, resets_at=resets_at):
                raise KeyLimitReached(left + remaining, resets_at)
            case InvalidKey(status=status, code=code, detail=detail):
                raise InvalidKey(status, code, detail)
            case OutcomeUnknown() as error:
                raise OutcomeUnknown(_words(error)) from error
            case error:
                raise Unavailable(_words(error)) from error


def _words(error: TopupError) -> str:
    return f"units could not be fetched a moment ago: {error}"
