"""Every planted bug: mistakes that billing code is known for, to see whether the product's tests notice them."""

from typing import Final

from tests.mutants.bug import Bug
from tests.mutants.deciding import DECIDING
from tests.mutants.doors import DOORS
from tests.mutants.recovering import RECOVERING
from tests.mutants.settling import SETTLING
from tests.mutants.spending import SPENDING

PLANTED: Final[tuple[Bug, ...]] = (*SETTLING, *DECIDING, *SPENDING, *RECOVERING, *DOORS)
