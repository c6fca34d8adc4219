from support.fuzzing import fuzz
from support.stand import Stand


def test_no_answer_is_outside_of_the_description(stand: Stand) -> None:
    """No 5xx, no status, content type, header or member that is not described; good input is taken,
    bad input and no token are not.

    The same examples every time, and few of them: `make fuzz` tries others for five minutes.
    """
    done = fuzz(stand, "--max-examples", "10", "--generation-deterministic")
    assert done.returncode == 0, done.stdout
    operations = sum(
        len(methods) for methods in stand.call("GET", "/openapi.json").json()["paths"].values()
    )
    assert f"Tested: {operations}\n" in done.stdout, done.stdout
