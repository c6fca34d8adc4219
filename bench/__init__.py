"""The benchmarks that ``make bench`` runs.

Only ratios within one run and counts have goals. Times are shown, but nothing depends on them.
"""
