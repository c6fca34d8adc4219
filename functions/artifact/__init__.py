"""Assembles what Lambda runs from this folder, with any Python and nothing else.

It is not in the artifact itself.
"""
