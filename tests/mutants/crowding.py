"""How busy the machine is with other work."""

import os


def crowding() -> float:
    """Return by how much other programs slow this one down: waiting for them is no fault."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
