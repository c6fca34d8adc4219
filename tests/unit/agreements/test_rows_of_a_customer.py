"""A customer at Stripe: its row, the keys it is asked for under, and whose trouble is whose."""

from collections.abc import Mapping
from typing import Any

import pytest
from billing.agreements import customers
from billing.books import Books
from billing.errors import BillingError, NotDoneError, StripeRefusedError
from billing.stripe_api.outcomes import StripeServerError
from support import builders
from support.fakes.memory_store import Meddled


class Stripe:
    """Makes customers, each once under its key, and raises what it is given before."""

    def __init__(self, *troubles: Exception) -> None:
        """No customer yet."""
        self.asked: list[tuple[Mapping[str, str], str]] = []
        self.troubles = list(troubles)

    def create_customer(self, metadata: Mapping[str, str], idempotency_key: str) -> str:
        """As Stripe does."""
        self.asked.append((dict(metadata), idempotency_key))
        if self.troubles:
            raise self.troubles.pop(0)
        keys = list(dict.fromkeys(key for _, key in self.asked))
        return f"cus_{keys.index(idempotency_key)}"


@pytest.fixture
def store() -> Meddled:
    """Empty."""
    return Meddled()


@pytest.fixture
def books(store: Meddled) -> Books:
    """The test stack's."""
    return builders.books_on(store)


def _ask(books: Books, stripe: Stripe, user: str = "alice", instead_of: str = "") -> str:
    cards: Any = stripe
    return customers.find_or_create(books, cards, user, instead_of=instead_of)


def test_each_customer_of_a_user_has_a_number_and_a_key_of_its_own(
    books: Books, store: Meddled
) -> None:
    """One row says which is the present one, and how many there were."""
    stripe = Stripe()
    for number in range(3):
        instead_of = f"cus_{number - 1}" if number else ""
        assert _ask(books, stripe, instead_of=instead_of) == f"cus_{number}"
        assert store.tables["payments"] == {
            ("user#alice", "customer"): {
                "owner": "user#alice",
                "id": "customer",
                "customer": f"cus_{number}",
                "generation": number,
            }
        }
    keys = [key for _, key in stripe.asked]
    assert [key[-2:] for key in keys] == ["-0", "-1", "-2"]
    assert len({key[:-2] for key in keys}) == 1
    assert keys[0].startswith("customer-")
    assert [told for told, _ in stripe.asked] == [
        {"user_id": "alice", "deployment": "dep_test"}
    ] * 3


def test_two_users_have_two_keys_and_two_deployments_too(books: Books) -> None:
    """A customer of another deployment is never this one's."""
    stripe = Stripe()
    _ask(books, stripe)
    _ask(books, stripe, "bob")
    other = builders.books_on(Meddled(), deployment=builders.Fixed("dep_other"))
    _ask(other, stripe)
    assert len({key for _, key in stripe.asked}) == 3


def test_a_customer_that_is_known_is_not_asked_for(books: Books) -> None:
    stripe = Stripe()
    _ask(books, stripe)
    assert _ask(books, stripe) == "cus_0"
    assert _ask(books, stripe, instead_of="cus_9") == "cus_0"
    assert len(stripe.asked) == 1


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    "trouble",
    [
        StripeRefusedError({"http_status": 401}),
        BillingError("stripe_unavailable", "no answer in time"),
        NotDoneError("no time is left"),
        ZeroDivisionError(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_only_a_fault_of_stripes_own_is_asked_for_under_another_key(
    books: Books, store: Meddled, trouble: Exception, number: int
) -> None:
    """What else happens, at the first request or the second, is told as it is."""
    stripe = Stripe(*[StripeServerError()] * number, trouble)
    with pytest.raises(type(trouble)) as raised:
        _ask(books, stripe)
    assert raised.value is trouble
    assert len(stripe.asked) == 1 + number
    assert store.tables["payments"] == {}


def test_after_two_faults_of_stripes_own_the_answer_is_to_try_again(books: Books) -> None:
    stripe = Stripe(StripeServerError(), StripeServerError())
    with pytest.raises(BillingError) as refused:
        _ask(books, stripe)
    assert (refused.value.code, refused.value.status) == ("stripe_unavailable", 502)
    first, second = (key for _, key in stripe.asked)
    assert first != second
    assert [told for told, _ in stripe.asked] == [
        {"user_id": "alice", "deployment": "dep_test"}
    ] * 2


def test_trouble_of_the_tables_is_told_as_it_is(books: Books, store: Meddled) -> None:
    """The customer is made, and found again under its key."""

    def fails() -> None:
        raise NotDoneError("throttled")

    store.first, stripe = fails, Stripe()
    with pytest.raises(NotDoneError, match="throttled"):
        _ask(books, stripe)
    assert _ask(books, stripe) == "cus_0"
    assert customers.find(books, "alice") == "cus_0"
    assert customers.find(books, "bob") == ""
