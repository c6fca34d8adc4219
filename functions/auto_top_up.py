"""GET, PUT and DELETE /api/v1/quota/auto-top-up, and the automatic charges.

A queue message asks for one account's charge at once. Each minute a sweep asks
for all that are due.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from billing.agreements import consent
from billing.agreements.agreement import MAX_PER_MONTH
from billing.agreements.consent import Terms
from billing.api.endpoint import Answer, endpoint
from billing.api.members import flag, whole
from billing.api.request import Request
from billing.errors import BillingError, StripeRefusedError
from billing.payments import plans
from billing.telemetry import count, logger, metrics, report_refusal
from billing.top_up import messages
from billing.wiring.container import books, settings
from billing.wiring.queue import receiving_books
from billing.wiring.stripe import gateway, saved_cards

if TYPE_CHECKING:
    from billing.top_up.job import Job

# What makes charges is imported where a charge is run: the API's requests, which
# customers wait for, start without it.

STOP_MS: Final = 28_000
"""No account's charge is started with less time left than this. The calls to
Stripe until their deadline, then those to DynamoDB until theirs, and the last
call of each must fit.
"""
SWEEP_STOP_MS: Final = 5_000
"""No further message is sent with less time left than this."""
LeftMs = Callable[[], int]


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Serve /api/v1/quota/auto-top-up, or run automatic charges.

    For messages of the SQS queue, it runs the charges of the accounts that
    they name. For the schedule's ``sweep``, each minute, it sends a message
    for each account whose charge is due. Any other call is an HTTP request.
    """
    if "Records" in event:
        return _run(lambda _: _users_in(event["Records"]), context)
    if event.get("sweep") is True:
        return _run(_not_hurried, context)
    return _serve(event, context)


def _run(
    find: Callable[[LeftMs], Iterable[str]], context: object
) -> dict[str, Any]:
    """Run the automatic charge of each account that ``find`` yields.

    Each runs once, while there is time. Returns how many were done and how
    many failed.
    """
    from billing.top_up import sweep  # noqa: PLC0415 - see above

    logger.append_keys(request_id=str(getattr(context, "aws_request_id", "")))
    left_ms = getattr(
        context, "get_remaining_time_in_millis", lambda: 10 * STOP_MS
    )
    try:
        users = list(dict.fromkeys(find(left_ms)))
        done = sweep.run_all(
            _job(), users, lambda: left_ms() > STOP_MS, _failed
        )
    finally:
        if metrics.metric_set:
            metrics.flush_metrics()
    logger.info("topped up", done=done["done"], failed=done["failed"])
    return {"done": done["done"], "failed": done["failed"]}


def _not_hurried(left_ms: LeftMs) -> Iterator[str]:
    """Queue each due charge. Yield the users for whom that failed.

    The queue starts a new invocation for each account with an automatic charge
    due. The caller runs the charges of the yielded users itself. Stops early
    when little time is left.
    """
    from billing.top_up import sweep  # noqa: PLC0415 - see above

    for user_id in sweep.due(books()):
        if left_ms() < SWEEP_STOP_MS:
            return
        if not messages.hurry(settings().top_up_queue_url, user_id):
            yield user_id


@endpoint
def _serve(request: Request) -> Answer:
    """Answer with the customer's agreement to automatic top-ups.

    GET shows it, PUT agrees to it, and DELETE switches automatic top-ups off.
    """
    user_id = request.user_id
    if not settings().auto_top_up:
        raise BillingError(
            "not_found", "automatic top-ups are not offered here"
        )
    match request.method:
        case "PUT":
            shown = consent.agree(
                books(), saved_cards(), user_id, _terms(request)
            )
            messages.hurry(settings().top_up_queue_url, user_id)
            return 200, shown
        case "DELETE":
            forget_card = _forgets_card(request)
            off = consent.switch_off(
                books(), saved_cards(), user_id, forget_card=forget_card
            )
            messages.hurry(settings().top_up_queue_url, user_id)
            return 200, off
        case _:
            return 200, consent.show(books(), user_id)


def _forgets_card(request: Request) -> bool:
    text = request.query.get("forget_card", "false")
    if text not in ("true", "false"):
        raise BillingError(
            "invalid_request", "forget_card must be true or false"
        )
    return text == "true"


def _terms(request: Request) -> Terms:
    body = request.json_object("plan", "when_below", "max_per_month", "agreed")
    if not flag(body, "agreed"):
        detail = (
            "agreed must be true: no customer is charged without agreeing to it"
        )
        raise BillingError("invalid_request", detail)
    return Terms(
        plans.find(body["plan"]),
        whole(body, "when_below"),
        whole(body, "max_per_month", MAX_PER_MONTH),
    )


def _users_in(records: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the user ids in a batch of SQS messages.

    Each message asks to run one account's automatic charge. One that cannot be
    read is dropped: a job of each minute (the sweep) finds its account.
    """
    for record in records:
        try:
            yield messages.user_in(record["body"])
        except (ValueError, KeyError, TypeError):
            logger.exception("a message that cannot be read is dropped")


def _job() -> "Job":
    from billing.charging.asking import Asker  # noqa: PLC0415 - see above
    from billing.top_up.job import Job  # noqa: PLC0415

    asker = Asker(saved_cards(), books().ours, settings().stack_name)

    def find_lost(user_id: str, customer: str) -> bool:
        # Only the first attempt of a charge pays for this import.
        from billing.reconciliation import adopting  # noqa: PLC0415

        return adopting.find_lost(
            books(), gateway(), saved_cards(), user_id, customer
        )

    return Job(receiving_books(), asker, _report, find_lost)


def _report(payment_id: str, error: Exception) -> None:
    """Log a charge's error, and count it.

    A refusal of Stripe's is counted apart, because only an operator can
    fix it.
    """
    if isinstance(error, StripeRefusedError):
        report_refusal(error, payment_id=payment_id)
        return
    count("outcome_unknown")
    why = f"{type(error).__name__}: {error}"
    logger.warning(
        "a charge's outcome is unknown", payment_id=payment_id, why=why
    )


def _failed(user_id: str, error: Exception) -> None:
    """Log why the automatic charge of an account could not be run.

    The sweep, a job of each minute, runs it again. The user's id is not
    logged, because it may be an e-mail address.
    """
    del user_id
    why = f"{type(error).__name__}: {error}"
    logger.warning("an automatic top-up stays due", why=why)
