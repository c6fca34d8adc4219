"""The benchmarks:

``make bench``. Every figure is a ratio within one run, or a count; times are shown and judge
nothing.
"""
