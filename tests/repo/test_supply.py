import json
import re
from itertools import product
from pathlib import Path

import botocore
import pytest
from artifact.pruning import SERVICES_KEPT
from botocore.regions import EndpointResolver

from infra.build import sbom
from infra.build.artifact import ARCHIVE, BUILD, FIRST, build
from infra.local.paths import ROOT, Paths

LOCK = (ROOT / "functions" / "requirements.txt").read_text()
LOCKED = dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", LOCK, re.MULTILINE))
PINNED = dict(
    re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
)


def test_every_package_that_is_installed_for_lambda_is_known_by_hash() -> None:
    """Then pip refuses any other file, and any package that is not named."""
    blocks = re.split(r"^(?=[a-z0-9-]+==)", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(LOCKED) > len(PINNED)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    lines = [line.strip() for line in LOCK.splitlines() if line.strip()]
    odd = [line for line in lines if not re.match(r"#|[a-z0-9-]+==|--hash=sha256:", line)]
    assert not odd, "an index or a folder of one machine"


LOCKS = {
    "requirements.txt": "functions/requirements.txt",
    "tests/requirements.in": "tests/requirements.txt",
    **{
        f"infra/local/requirements-{name}.in": f"infra/local/requirements-{name}.txt"
        for name in ("sam", "ministack", "moto", "audit")
    },
}


@pytest.mark.parametrize(("asked", "lock"), LOCKS.items())
def test_every_environment_is_pinned_whole_and_by_hash(asked: str, lock: str) -> None:
    """So pip installs the same files everywhere, from whatever index it is set up with."""
    names = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
    text = (ROOT / lock).read_text()
    direct = set(names.findall((ROOT / asked).read_text()))
    assert direct < set(names.findall(text)), "run `make lock`"
    blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    odd = [line for line in lines if not re.match(r"#|[a-z0-9-]+==|--hash=sha256:", line)]
    assert not odd, "an index, a folder or a package that is not pinned"


def test_the_lock_is_that_of_the_requirements() -> None:
    """After a change of requirements.txt: `make lock`."""
    assert PINNED.items() <= LOCKED.items()


@pytest.fixture(scope="module")
def folder() -> Path:
    """The built artifact."""
    build(Paths.from_environment())
    return BUILD / FIRST


def test_the_artifact_holds_exactly_what_is_locked(folder: Path) -> None:
    components = sbom.bill(folder, BUILD / ARCHIVE)["components"]
    assert {row["name"].lower().replace("_", "-"): row["version"] for row in components} == LOCKED
    assert all(row["licenses"] for row in components), [
        row["name"] for row in components if not row["licenses"]
    ]


def test_the_addresses_of_services_in_use_are_botocores_own(folder: Path) -> None:
    """In every region; others are left out, because every session reads them."""
    whole, kept = (
        Path(place) / "data" / "endpoints.json"
        for place in (Path(botocore.__file__).parent, folder / "botocore")
    )
    before, after = (EndpointResolver(json.loads(file.read_text())) for file in (whole, kept))
    regions = [
        (name, region)
        for name in before.get_available_partitions()
        for region in before.get_available_endpoints("sqs", name)
    ]
    assert len(regions) > 20
    for service, (partition, region) in product(SERVICES_KEPT, regions):
        assert after.construct_endpoint(service, region, partition) == before.construct_endpoint(
            service, region, partition
        )
    assert kept.stat().st_size < whole.stat().st_size / 20


def test_the_bill_is_the_same_for_the_same_build(folder: Path, tmp_path: Path) -> None:
    """So that two can be compared; and it names the archive's hash."""
    other = tmp_path / ARCHIVE
    other.write_bytes((BUILD / ARCHIVE).read_bytes() + b"x")
    first, second = (json.dumps(sbom.bill(folder, BUILD / ARCHIVE)) for _ in range(2))
    assert first == second != json.dumps(sbom.bill(folder, other))


def test_every_action_of_a_workflow_is_pinned_by_commit() -> None:
    """A tag may be moved to another commit. The tag stands beside it, for people."""
    used = [
        line
        for path in (ROOT / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    assert not [
        line
        for line in used
        if not re.search(r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)
    ]
