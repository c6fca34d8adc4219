"""The product: settles payments, keeps the books and debits quotas.

Imports between its packages go one way. tests/repo/test_layers.py checks it.
"""

import gc

gc.set_threshold(100_000)
"""A container starts by loading modules, which stay. At Python's default of 700 the garbage
collector would scan them again and again meanwhile."""
