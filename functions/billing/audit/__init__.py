"""Checks that accounts agree with their rows, and repairs those that do not.

A restore of some of the tables is the usual cause.
"""
