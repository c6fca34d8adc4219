"""Writes a CycloneDX bill of materials, read from the built artifact (``make sbom``).

https://cyclonedx.org/docs/1.6/json/
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

from infra.build.artifact import ARCHIVE, BUILD, FIRST
from infra.local.paths import ROOT

OUT: Final = ROOT / ".aws-sam" / "topup.cdx.json"


def bill(folder: Path, archive: Path) -> dict[str, Any]:
    """Return the bill of materials: the archive with its hash, and its components sorted by name.

    The components are the packages that are installed in ``folder``. The same build gives the same
    bytes.
    """
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    found = sorted(distributions(path=[str(folder)]), key=lambda one: one.metadata["Name"].lower())
    root = {
        "type": "application",
        "bom-ref": "topup",
        "name": "topup",
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }
    components = [_component(one) for one in found]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": root},
        "components": components,
        "dependencies": [
            {"ref": "topup", "dependsOn": [component["bom-ref"] for component in components]}
        ],
    }


def _component(one: Distribution) -> dict[str, Any]:
    name = one.metadata["Name"]
    url = f"pkg:pypi/{name.lower().replace('_', '-')}@{one.version}"
    licenses = [{"license": {"name": text}} for text in _licenses(one)]
    return {
        "type": "library",
        "bom-ref": url,
        "name": name,
        "version": one.version,
        "purl": url,
        "licenses": licenses,
    }


def _licenses(one: Distribution) -> Iterator[str]:
    """Yield the names of a package's licences.

    They come from the first of these that the package has: the licence expression, the first line
    of the licence text, the classifiers.
    """
    free = [
        *(one.metadata.get_all("License-Expression") or []),
        *(one.metadata.get_all("License") or []),
        "",
    ]
    if first_line := free[0].split("\n")[0]:
        yield first_line
        return
    for row in one.metadata.get_all("Classifier") or []:
        if row.startswith("License"):
            yield row.split(" :: ")[-1]


def main(out: Path = OUT) -> None:
    """Write the bill of materials to ``out``, and print the number of components."""
    made = bill(BUILD / FIRST, BUILD / ARCHIVE)
    out.write_text(json.dumps(made, indent=2) + "\n")
    sys.stdout.write(f"{out.relative_to(ROOT)}: {len(made['components'])} components\n")


if __name__ == "__main__":
    main()
