"""Releases expired holds and removes expired lots.

It also computes an account as if that were done, for callers that may only
read.
"""
