"""The product: what settles a payment, keeps the books and spends the quota.

Imports point one way, see docs/decisions/house.md.
"""

import gc

gc.set_threshold(100_000)
"""A container starts by loading modules, which stay: at Python's 700 the collector looks through
them again and again meanwhile."""
