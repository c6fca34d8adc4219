import pytest
from mutants.faults import faults_in
from mutants.reach import Reach

WRITE = (
    'Write("quotas", key, set={"at": now}, add={"held": units}, remove=("due",),'
    ' must=(equals("held", 1), *more))'
)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (f"return {WRITE}", "must=()"),
        (f"return {WRITE}", "must=((equals('held', 1),))"),
        (f"return {WRITE}", "must=((*more,))"),
        (f"return {WRITE}", "remove=()"),
        (f"return {WRITE}", "add=({})"),
        (f"return {WRITE}", "equals('held_', 1)"),
        ("store.commit(one, *two)", "(store.commit(*two))"),
        ("store.commit(one, *two)", "pass"),
        ("yield one", "yield from ()"),
        ("return a < 1", "(a <= 1)"),
        ("return a < 1", "a < 2"),
        ("return 0 < a <= b", "(0 < a)"),
        ("return a and b and c", "(a and c)"),
        ("return a and b", "(a or b)"),
        ("return not a", "return (a)"),
        ("return f(a, b)", "f(b, a)"),
        ("return f(a)", "return None"),
        ('return Must("a", "<=", b)', "'<'"),
        ("if a:\n  b()", "if False:"),
        ("if a:\n  b()", "if True:"),
        ("try:\n  a()\n except (B, C):\n  pass", "except ((C,)):"),
        ("try:\n  a()\n except B:\n  pass", "except Exception:"),
        ("with suppress(A):\n  b()", "with suppress(ZeroDivisionError):"),
        ("a += b", "a -= b"),
        ("return a - b", "(a + b)"),
        ("return f(a, b=c)", "(f(a))"),
        ("return min(a, b)", "return (a)"),
        ("return a if b else c", "return (c)"),
        ("return f(clears_up=True)", "clears_up=False"),
    ],
)
def test_the_machine_makes_every_kind_of_fault(right: str, wrong: str) -> None:
    """Each as a change of one place."""
    found = [fault.changed for fault in faults_in("a.py", f"def f():\n {right}\n")]
    assert any(wrong.replace(" ", "") in changed.replace(" ", "") for changed in found), found


def test_no_text_for_people_and_no_type_is_a_fault() -> None:
    """Another wording breaks nothing."""
    source = (
        'def f(a: tuple[int, str] = ()) -> int:\n    """Say a < b."""\n'
        '    message = f"{1 + 2} units"\n    raise Oh(message)\n'
    )
    assert faults_in("a.py", source) == []


def test_a_protocol_has_no_fault() -> None:
    """Nothing of it ever runs."""
    method = "    def f(self, a: int = 1) -> int:\n        return a\n"
    assert faults_in("a.py", f"class A(Protocol):\n{method}") == []
    assert faults_in("a.py", f"class A(Other):\n{method}") != []


def test_a_del_of_a_name_is_no_fault() -> None:
    """It frees nothing that anybody looks at; a row of a table is something else."""
    assert faults_in("a.py", "def f(a):\n    del a\n") == []
    assert "pass" in [fault.text for fault in faults_in("a.py", "def f(a):\n    del a[0]\n")]


def test_what_the_type_checker_keeps_from_being_reached_has_no_fault() -> None:
    """A case beside all that there are."""
    assert faults_in("a.py", "def f(a):\n    assert_never(a)\n") == []


def test_a_type_variable_has_no_fault() -> None:
    """Its bound is the type checker's."""
    assert faults_in("a.py", "T = TypeVar('T', bound=int)\n") == []


def test_no_as_an_answer_becomes_yes_and_never_none() -> None:
    """A yes-or-no question cannot tell None from False; 0 is a figure."""
    assert [fault.text for fault in faults_in("a.py", "def f():\n    return False\n")] == ["True"]
    assert "None" in [fault.text for fault in faults_in("a.py", "def f():\n    return 0\n")]


def test_the_many_quick_tests_of_one_file_leave_time_for_the_others() -> None:
    """Half of it goes to the quickest, the other half to some of every file."""
    source = "def f():\n    return a < 1\n"
    (fault, *_) = faults_in("a.py", source)
    reach = Reach.over({"a.py": source}, seconds_max=4)
    rows = [(f"tests/unit/test_many.py::test_{number}", 0.5) for number in range(90)]
    for place, (name, seconds) in enumerate([*rows, ("tests/functional/test_one.py::test", 1)]):
        found = {"test": name, "place": place, "seconds": seconds, "failed": False, "said": ""}
        reach.add({**found, "lines": [("a.py", 2)]})
    chosen = [test.name.partition("::")[0] for test in reach.tests(fault, twice=False)]
    quick, slow = "tests/unit/test_many.py", "tests/functional/test_one.py"
    assert chosen == [*[quick] * 5, slow, quick]


def test_before_a_fault_counts_as_unnoticed_the_tests_that_were_left_out_have_their_turn() -> None:
    """Those of its module's own file come first, and each is run once."""
    source = "def f():\n    return a < 1\n"
    (fault, *_) = faults_in("a.py", source)
    reach = Reach.over({"a.py": source}, seconds_max=2)
    names = [*(f"tests/unit/test_b.py::test_{number}" for number in range(4)), "x/test_a.py::test"]
    for place, name in enumerate(names):
        found = {"test": name, "place": place, "seconds": 1 + place / 100, "failed": False}
        reach.add({**found, "said": "", "lines": [("a.py", 2)]})
    tried = [test.name for test in reach.tests(fault)]
    first = [test.name for test in reach.tests(fault, twice=False)]
    assert tried == [*first, "x/test_a.py::test", *tried[len(first) + 1 :]]
    assert len(tried) == len({*tried}) == len(first) + 1


def test_a_constant_is_tested_by_those_who_use_what_is_made_of_it() -> None:
    """A list of lists is looked at, and its parts never."""
    source = "PART = {1}\nWHOLE = PART | {2}\ndef f():\n    return WHOLE\n"
    (fault, *_) = (one for one in faults_in("a.py", source) if one.span.line == 1)
    reach = Reach.over({"a.py": source}, seconds_max=1)
    for number, lines in ((0, [("a.py", 9)]), (1, [("a.py", 4)])):
        found = {"test": f"test_{number}", "place": number, "seconds": number / 10}
        reach.add({**found, "failed": False, "said": "", "lines": lines})
    assert [test.name for test in reach.tests(fault)] == ["test_1", "test_0"]


def test_a_fault_leaves_every_later_line_where_it_was() -> None:
    """Functions are found again by the line on which they begin."""
    source = "def f():\n    g(\n        a,\n        b,\n    )\n\n\ndef h():\n    pass\n"
    for fault in faults_in("a.py", source):
        assert fault.changed.splitlines()[7] == "def h():"


def test_a_change_is_named_the_same_however_its_statement_is_laid_out() -> None:
    """A formatter moves lines and quotes, and the reasons in equivalent.toml still hold."""
    short = "def f():\n    return g(a, 'b', must=(c, d))\n"
    long = 'def f():\n    return g(\n        a,\n        "b",\n        must=(c, d),  # why\n    )\n'
    names = [{fault.key for fault in faults_in("a.py", source)} for source in (short, long)]
    assert names[0] == names[1]
    assert len(names[0]) == len(faults_in("a.py", short))


def test_a_condition_of_several_lines_can_be_dropped() -> None:
    """A fault that cannot be compiled would count as one that no test noticed."""
    source = "def f():\n    if a and (\n        b or c\n    ):\n        d()\n"
    for fault in faults_in("a.py", source):
        compile(fault.changed, "a.py", "exec")


def test_every_fault_can_be_compiled() -> None:
    """What is unpacked among bounds cannot stand alone."""
    found = faults_in("a.py", "def f(a, b):\n    return max(a, *b, 0)\n")
    texts = sorted(fault.text for fault in found if fault.kind == "dropped bound")
    assert texts == ["(0)", "(a)"]


def test_a_function_that_loses_its_super_cannot_be_exchanged_in_a_running_process() -> None:
    """It loses a variable with it, and Python refuses such code: an interpreter of its own tries
    it.
    """
    source = "class A(B):\n    def __init__(self):\n        super().__init__(a < 1)\n        b()\n"
    found = [(fault.statement, fault.text, fault.is_hot) for fault in faults_in("a.py", source)]
    assert (3, "pass", False) in found
    assert {is_hot for line, text, is_hot in found if (line, text) != (3, "pass")} == {True}
