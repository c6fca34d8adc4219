"""The id by which a deployment knows its own: made once, found again whatever happens, and read
once a container.
"""

import pytest
from billing import deployment
from billing.books import Books
from billing.deployment import StoredDeployment
from billing.errors import Item, OutcomeUnknownError
from billing.settlement import settlement
from billing.storage.writes import Table, Write
from billing.stripe_api.claims import Ignored
from billing.stripe_api.events import parse
from support import builders
from support.builders import pending
from support.fakes.memory_store import MemoryStore


class Faulty(MemoryStore):
    """One whose reads may fail."""

    is_down = False

    def get(self, table: Table, key: tuple[str, str]) -> Item | None:
        """One item, or no answer."""
        if self.is_down:
            raise OutcomeUnknownError("injected")
        return super().get(table, key)


class Overtaken(MemoryStore):
    """Another container makes the id between this one's reading and its writing."""

    other: StoredDeployment | None = None

    def commit(self, *writes: Write) -> None:
        """After the other one's."""
        other, self.other = self.other, None
        if other:
            other.id()
        super().commit(*writes)


@pytest.fixture
def store() -> MemoryStore:
    """Empty tables."""
    return MemoryStore()


def _container(store: MemoryStore) -> StoredDeployment:
    return StoredDeployment(store)  # type: ignore[arg-type]


def _books(store: MemoryStore) -> Books:
    return builders.books_on(store, deployment=_container(store))


def test_no_two_deployments_have_one_id() -> None:
    """Though their stacks have one name."""
    assert _container(MemoryStore()).id() != _container(MemoryStore()).id()


def test_every_container_of_one_set_of_tables_knows_the_same_id(store: MemoryStore) -> None:
    """Those of a stack that was taken back, too: the tables were retained."""
    made = _container(store).id()
    assert made.startswith("dep_")
    assert [_container(store).id(), _container(store).known()] == [made, made]
    assert _container(store).wrote(made)


def test_concurrent_first_use_by_two_containers_ends_with_one_id() -> None:
    """The second finds what the first has made."""
    store = Overtaken()
    first, second = _container(store), _container(store)
    store.other = first
    assert second.id() == first.id() == _container(store).known()


@pytest.mark.parametrize("lost", deployment.TABLES)
def test_a_restore_of_one_table_to_before_the_id_loses_nothing(
    store: MemoryStore, lost: Table
) -> None:
    """The other table still has it, whichever is asked first."""
    made = _container(store).id()
    del store.tables[lost][deployment.KEY]
    assert _container(store).wrote(made)
    assert _container(store).id() == made


@pytest.mark.parametrize("lost", deployment.TABLES)
def test_the_hourly_run_writes_a_lost_copy_back(store: MemoryStore, lost: Table) -> None:
    """So that a restore of the other table loses nothing either."""
    made = _container(store).id()
    del store.tables[lost][deployment.KEY]
    _container(store).keep()
    assert [store.tables[table][deployment.KEY]["deployment"] for table in deployment.TABLES] == [
        made,
        made,
    ]


def test_looking_writes_nothing(store: MemoryStore) -> None:
    """A dry run must not make an id, nor need one."""
    assert not _container(store).wrote("dep_other")
    assert not _container(store).wrote("")
    assert _container(store).known() == ""
    _container(store).keep()
    assert not any(store.tables.values())


def test_a_container_that_outlives_a_restore_learns_the_restored_id(store: MemoryStore) -> None:
    """It remembers another one, and would ignore its own deployment's sales."""
    container = _container(store)
    container.id()
    for table in deployment.TABLES:
        store.tables[table][deployment.KEY]["deployment"] = "dep_restored"
    assert container.wrote("dep_restored")


def test_tables_of_two_deployments_make_no_session(store: MemoryStore) -> None:
    """One table was restored from elsewhere: that needs an operator, and no checkout may
    guess.
    """
    _container(store).id()
    store.tables["events"][deployment.KEY]["deployment"] = "dep_elsewhere"
    del store.tables["payments"][deployment.KEY]
    store.tables["payments"][deployment.KEY] = {
        "owner": "deployment",
        "id": "id",
        "deployment": "dep_here",
    }
    with pytest.raises(OutcomeUnknownError, match="two deployments"):
        _container(store)._stored("dep_new")


def test_an_ordinary_settlement_reads_no_id_but_the_first_of_a_container(
    store: MemoryStore,
) -> None:
    """One read a container; then one transaction a purchase, as before."""
    name = _container(store).id()
    books, calls = _books(store), list[int]()
    for _ in range(3):
        payment = pending(books)
        event = builders.completed(
            payment, metadata={**builders.metadata(payment), "deployment": name}
        )
        before = store.calls
        found = parse(event, books.ours)
        assert not isinstance(found, Ignored), found
        assert settlement.apply(books, found).status == "settled"
        calls.append(store.calls - before)
    assert calls == [2, 1, 1]


def test_an_id_that_cannot_be_read_is_an_outage_and_never_not_ours() -> None:
    """Stripe must come again."""
    store = Faulty()
    books = _books(store)
    event = builders.completed(pending(books))
    store.is_down = True
    with pytest.raises(OutcomeUnknownError):
        parse(event, books.ours)
