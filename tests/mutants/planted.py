"""Every planted bug: mistakes that billing code is known for, to see whether the product's tests
notice them.
"""

from typing import Final

from .bug import Bug
from .buying import BUYING
from .crossing import CROSSING
from .deciding import DECIDING
from .doors import DOORS
from .giving import GIVING
from .leasing import LEASING
from .limiting import LIMITING
from .recovering import RECOVERING
from .settling import SETTLING
from .spending import SPENDING
from .telling import TELLING
from .topping_up import TOPPING_UP

PLANTED: Final[tuple[Bug, ...]] = (
    *SETTLING,
    *DECIDING,
    *SPENDING,
    *LIMITING,
    *RECOVERING,
    *BUYING,
    *DOORS,
    *LEASING,
    *TELLING,
    *GIVING,
    *CROSSING,
    *TOPPING_UP,
)
