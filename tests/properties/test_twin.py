import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from billing.errors import ConditionFailedError, Item
from billing.storage.dynamodb import Store
from billing.storage.reader import Page
from billing.storage.writes import KEY_NAMES, Must, Table, Write
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dynamo import TABLES, Dynamo
from support.fakes.memory_store import MemoryStore

Act = Callable[[Any, str], object]
OWNERS: Final = ("a", "b")
NAMES: Final = ("hold#1", "hold#2", "quota", "x")
_runs = itertools.count(1)

_integers = st.integers(-3, 3) | st.integers(-(10**12), 10**12)
_words = st.sampled_from(["", "a", "b", "ä", "2026-01-02"])
_sets = st.frozensets(st.sampled_from(["p", "q", "r"]), min_size=1)
_plain = st.none() | st.booleans() | _integers | _words
_deep = st.recursive(
    _plain,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["k", "l"]), inner, max_size=2)
    ),
    max_leaves=4,
)
# One attribute, one type, as the product has it: DynamoDB refuses to add to a text.
_settable = {
    "number": _integers,
    "text": _words,
    "set": _sets,
    "flag": st.booleans(),
    "deep": st.lists(_deep, max_size=2)
    | st.dictionaries(st.sampled_from(["k", "l"]), _deep, max_size=2),
    "booked_at": st.sampled_from(["1", "2", "3"]),
    "expires_at": st.integers(1, 5),
    "completed_at": st.sampled_from(["1", "2", "3"]),
}
_addable = {"number": _integers, "set": _sets, "fresh": _integers}


def _musts(table: Table) -> st.SearchStrategy[Must]:
    """Clauses on attributes that are there or not, of the same type or another."""
    name = st.sampled_from([*_settable, "fresh", KEY_NAMES[table][0]])
    presence = st.builds(Must, name, st.sampled_from(["exists", "absent"]), st.none())
    same = st.builds(
        Must, name, st.just("=="), _integers | _words | _sets | st.booleans(), st.booleans()
    )
    ordered = st.builds(
        Must, name, st.sampled_from([">=", "<=", "<", ">"]), _integers | _words, st.booleans()
    )
    likely = st.builds(
        Must,
        st.just("number"),
        st.sampled_from([">=", "<=", "<", ">", "=="]),
        st.integers(-3, 3),
        st.booleans(),
    )
    return presence | same | ordered | likely


@st.composite
def _writes(draw: st.DrawFn, place: tuple[Table, str, str], *, changes: bool = False) -> Write:
    """One write at a place; ``changes``: one that UpdateItem can make."""
    table, owner, name = place
    musts = tuple(draw(st.lists(_musts(table), max_size=2)))
    kind = (
        "change"
        if changes
        else draw(st.sampled_from(["change", "change", "change", "delete", "check"]))
    )
    if kind == "delete":
        return Write(table, (owner, name), must=musts, delete=True)
    if kind == "check":
        return Write(table, (owner, name), must=(draw(_musts(table)), *musts))
    names = draw(
        st.lists(st.sampled_from([*_settable, "fresh"]), min_size=1, max_size=4, unique=True)
    )
    verbs = {name: draw(st.sampled_from(["set", "add", "remove"])) for name in names}
    added: dict[str, Any] = {
        name: draw(_addable[name])
        for name, verb in verbs.items()
        if name == "fresh" or (verb == "add" and name in _addable)
    }
    removed = tuple(name for name, verb in verbs.items() if verb == "remove" and name not in added)
    values = {
        name: draw(_settable[name]) for name in names if name not in added and name not in removed
    }
    if "expires_at" in values:
        values["open"] = "open"  # what makes a row a hold stands there together
    if "completed_at" in values:
        values["unseen"] = "unseen"  # and what makes a payment a paid one
    marks = [
        mark for mark, key in (("open", "expires_at"), ("unseen", "completed_at")) if key in removed
    ]
    write = Write(
        table, (owner, name), set=values, add=added, remove=(*removed, *marks), must=musts
    )
    return draw(_derived(write))


def _derived(write: Write) -> st.SearchStrategy[Write]:
    """The write, or the same that also sets attributes to a number that is there."""
    there = write._replace(must=(*write.must, Must("number", "exists")))
    source = {"copied": "number"}
    return st.one_of(
        st.just(write),
        st.just(there._replace(copy=source)),
        _integers.map(lambda least: there._replace(subtract={"rest": (least, "number")})),
    )


def _placed(write: Write, run: str) -> Write:
    """The same among the owners of this run."""
    owner, name = write.key
    return Write(
        write.table,
        (run + owner, name),
        set=write.set,
        add=write.add,
        remove=write.remove,
        must=write.must,
        delete=write.delete,
        copy=write.copy,
        subtract=write.subtract,
    )


_places = st.tuples(st.sampled_from(TABLES), st.sampled_from(OWNERS), st.sampled_from(NAMES))


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction."""

    writes: tuple[Write, ...]

    def __call__(self, store: Any, run: str) -> object:
        """Nothing, or a refusal."""
        return store.commit(*(_placed(write, run) for write in self.writes))


@dataclass(frozen=True, slots=True)
class Update:
    """One write that answers with the new item."""

    write: Write

    def __call__(self, store: Any, run: str) -> object:
        """The new item, or a refusal."""
        return store.update(_placed(self.write, run))


@dataclass(frozen=True, slots=True)
class Get:
    """One item."""

    place: tuple[Table, str, str]

    def __call__(self, store: Any, run: str) -> object:
        """It, or None."""
        table, owner, name = self.place
        return store.get(table, (run + owner, name))


@dataclass(frozen=True, slots=True)
class Query:
    """All pages of a query, a few items at a time."""

    table: Table
    owner: str
    limit: int
    how: dict[str, Any]

    def __call__(self, store: Any, run: str) -> object:
        """The pages. DynamoDB may say that there is more where there is not."""
        pages: list[list[Item]] = []
        after = None
        while True:
            page: Page = store.query(
                self.table, run + self.owner, limit=self.limit, after=after, **self.how
            )
            pages += [list(page.items)] if page.items else []
            if (after := page.after) is None:
                return pages


def _keys(read: Callable[[Item | None], Page], run: str, *names: str) -> object:
    """The keys that an index shows over all owners, of this run."""
    found: list[Item] = []
    after = None
    while True:
        page = read(after)
        found += page.items
        if (after := page.after) is None:
            return sorted(
                tuple(row[name] for name in names) for row in found if row[names[0]].startswith(run)
            )


@dataclass(frozen=True, slots=True)
class Due:
    """Open holds, over all owners."""

    now: int

    def __call__(self, store: Any, run: str) -> object:
        """Their keys."""
        return _keys(lambda after: store.due(self.now, after), run, "user_id", "item", "expires_at")


@dataclass(frozen=True, slots=True)
class Unseen:
    """Payments that carry the mark, over all owners."""

    since: str

    def __call__(self, store: Any, run: str) -> object:
        """Their keys."""
        return _keys(
            lambda after: store.unseen(self.since, after), run, "owner", "id", "completed_at"
        )


@st.composite
def _commits(draw: st.DrawFn) -> Commit:
    places = draw(st.lists(_places, min_size=1, max_size=4, unique=True))
    return Commit(tuple(draw(_writes(place)) for place in places))


@st.composite
def _queries(draw: st.DrawFn) -> Query:
    table, owner, _ = draw(_places)
    index = draw(st.sampled_from(["", "by_time"])) if table == "ledger" else ""
    prefix = "" if index else draw(st.sampled_from(["", "hold#"]))
    up_to = draw(st.sampled_from(["", "quota"])) if prefix else ""
    how = {"prefix": prefix, "up_to": up_to, "newest_first": draw(st.booleans()), "index": index}
    return Query(table, owner, draw(st.integers(1, 3)), how)


_updates = _places.flatmap(lambda place: _writes(place, changes=True)).map(Update)
_marked = st.builds(Due, st.integers(0, 5)) | st.builds(Unseen, st.sampled_from(["0", "2", "4"]))
_acts = st.one_of(_commits(), _updates, _commits(), _updates, _places.map(Get), _queries(), _marked)


def _said(act: Act, store: Any, run: str) -> object:
    try:
        return act(store, run)
    except ConditionFailedError as refused:
        return ("refused", dict(refused.old))


@pytest.fixture(scope="module")
def real(database: Dynamo) -> Store:
    """The product's store on a real API; every run has owners of its own there."""
    return database.store()


@settings(max_examples=80)
@given(st.lists(_acts, min_size=1, max_size=14))
def test_the_twin_in_memory_answers_as_dynamodb_does(real: Store, acts: list[Act]) -> None:
    """The same answers, the same refusals of the same writes, the same old items, the same end."""
    twin, run = MemoryStore(), f"{next(_runs)}-"
    for act in acts:
        real.deadline.begin()
        assert _said(act, twin, run) == _said(act, real, run)
    for table in TABLES:
        for owner in OWNERS:
            real.deadline.begin()
            assert list(twin.pages(table, run + owner)) == list(real.pages(table, run + owner))


def test_a_scan_in_segments_shows_every_item_once(real: Store) -> None:
    """However many readers share the work, here and there."""
    twin = MemoryStore()
    writes = [
        Write("keys", (f"scanned{number}", "k"), set={"number": number}) for number in range(250)
    ]
    for store in (twin, real):
        real.deadline.begin()
        for number in range(0, 250, 50):
            store.commit(*writes[number : number + 50])
        for segments in (1, 3):
            found = [
                item["number"]
                for segment in range(segments)
                for item in _segment(store, segment, segments)
            ]
            assert sorted(found) == list(range(250))


def _segment(store: Any, segment: int, segments: int) -> list[Item]:
    items: list[Item] = []
    after = None
    while True:
        page = store.scan("keys", segment, segments, after)
        items += [item for item in page.items if item["owner"].startswith("scanned")]
        if (after := page.after) is None:
            return items
