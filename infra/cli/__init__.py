"""The operator's command line, ``topup``.

It changes the books through the product's own functions, so there is no second way to move units.
"""

import sys
from importlib.util import find_spec

from infra.local.paths import ROOT

if find_spec("billing") is None:
    sys.path.insert(0, str(ROOT / "functions"))  # Lambda loads the package from there as well
