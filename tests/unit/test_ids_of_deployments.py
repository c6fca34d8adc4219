"""How the deployment's id is made, kept and read, to the last call."""

import re

import pytest
from billing.deployment import StoredDeployment
from billing.errors import OutcomeUnknownError
from billing.storage.writes import Write
from support.fakes.recording_store import Recorder
from support.transcripts import transcript

KEY = ("deployment", "id")


class Meddled(Recorder):
    """Before the first transaction, other containers have written these ids."""

    meanwhile: tuple[tuple[str, str], ...] = ()
    loses = False

    def commit(self, *writes: Write) -> None:
        """See the store."""
        if self.loses:
            raise OutcomeUnknownError("no answer in time")
        for table, name in self.meanwhile:
            row = {"deployment": name}
            self.tables[table][KEY] = row
        super().commit(*writes)


@pytest.fixture
def store() -> Meddled:
    """Empty tables."""
    return Meddled()


def _container(store: Recorder) -> StoredDeployment:
    return StoredDeployment(store)  # type: ignore[arg-type]


def test_the_first_use_writes_one_random_id_into_both_tables(store: Meddled) -> None:
    """Each on condition that it has none, or this one."""
    name = _container(store).id()
    assert re.fullmatch(r"dep_[0-9a-f]{32}", name)
    assert [transcript(writes, ID=name) for writes in store.sent] == [
        """\
payments deployment / id
  set deployment = 'ID'
  must deployment == 'ID' or absent
events deployment / id
  set deployment = 'ID'
  must deployment == 'ID' or absent
"""
    ]


def test_an_id_is_read_once_by_each_container(store: Meddled) -> None:
    """The payments' table has it: the other is not asked."""
    name = _container(store).id()
    container, calls = _container(store), store.calls
    assert [container.known(), container.known(), container.id(), container.id()] == [name] * 4
    assert container.wrote(name)
    assert store.calls == calls + 1
    assert not container.wrote("dep_other")
    assert not container.wrote("dep_other")
    assert _container(store).id() == name
    assert len(store.sent) == 1, "what is there is not written again"
    assert store.calls == calls + 4, "another id is looked up each time"


def test_an_id_that_another_container_wrote_at_that_moment_is_taken_over(store: Meddled) -> None:
    """Whichever table shows it first; the other then has it too."""
    store.meanwhile = (("events", "dep_first"),)
    assert _container(store).id() == "dep_first"
    assert len(store.sent) == 2
    assert [store.tables[table][KEY]["deployment"] for table in ("payments", "events")] == [
        "dep_first",
        "dep_first",
    ]


def test_two_tables_with_two_ids_are_an_unknown_outcome_after_two_tries(store: Meddled) -> None:
    """An operator must say which is right: no session is made meanwhile."""
    store.meanwhile = (("payments", "dep_one"), ("events", "dep_two"))
    with pytest.raises(
        OutcomeUnknownError, match=r"^the tables payments and events hold ids of two deployments$"
    ):
        _container(store).id()
    assert len(store.sent) == 2


def test_a_write_without_an_answer_makes_no_id(store: Meddled) -> None:
    """The next request finds out what became of it."""
    store.loses = True
    with pytest.raises(OutcomeUnknownError, match=r"^no answer in time$"):
        _container(store).id()
    assert _container(store).known() == ""


def test_keeping_what_is_nowhere_writes_nothing(store: Meddled) -> None:
    _container(store).keep()
    assert store.sent == []


def test_keeping_an_id_writes_that_one(store: Meddled) -> None:
    name = _container(store).id()
    container = _container(store)
    container.keep()
    calls = store.calls
    assert container.known() == name
    assert store.calls == calls, "it is remembered"
    assert transcript(store.sent[1]) == transcript(store.sent[0])
