"""Joining the page's modules refuses what it does not understand, when the function starts and not
in a customer's browser.
"""

from graphlib import CycleError

import pytest
from billing.api.page_bundle import bundle

WORDS = "export default {\n  hello: 1,\n};\n"
TOOLS = "const same = 2;\nexport const twice = (n) => same * n;\nexport function none() {}\n"
APP = (
    'import words from "/site/words.js";\nimport { twice } from "/site/tools.js";\n'
    'import * as tools from "/site/tools.js";\n'
    "const same = twice(words.hello);\nshow(same, tools);\n"
)


def test_modules_come_after_what_they_import_each_in_its_own_scope() -> None:
    """The same name in two of them is two things."""
    script = bundle(
        {"app.js": APP, "tools.js": TOOLS, "words.js": WORDS, "unused.js": "odd"}, "app.js"
    )
    assert script.index("const $words") < script.index("const $app")
    assert script.index("const $tools") < script.index("const $app")
    assert "return { twice, none };" in script
    assert "const { twice } = $tools;" in script
    assert "const tools = $tools;" in script
    assert "const { $default: words } = $words;" in script
    assert "odd" not in script


@pytest.mark.parametrize(
    "line",
    [
        'import "/site/tools.js";',
        'import { twice as double } from "/site/tools.js";',
        'import { twice } from "https://elsewhere.example/tools.js";',
        "export let changes = 1;",
        "export { twice };",
        'const later = await import("/site/tools.js");',
        'await fetch("/");',
        'import { thrice } from "/site/tools.js";',
    ],
)
def test_unknown_syntax_and_unknown_names_are_refused(line: str) -> None:
    """They would be undefined, or a script that does not parse."""
    with pytest.raises(ValueError, match=r"app\.js: "):
        bundle({"app.js": f"{line}\n", "tools.js": TOOLS}, "app.js")


def test_a_module_that_is_not_there_is_refused() -> None:
    with pytest.raises(KeyError, match=r"gone\.js"):
        bundle({"app.js": 'import { a } from "/site/gone.js";\n'}, "app.js")


def test_modules_that_import_each_other_are_refused() -> None:
    a, b = (
        'import { x } from "/site/b.js";\nexport const y = 1;\n',
        'import { y } from "/site/a.js";\nexport const x = 1;\n',
    )
    with pytest.raises(CycleError):
        bundle({"a.js": a, "b.js": b}, "a.js")
