"""Runs the local stack: the whole product on one machine.

It is deployed on the "embedded AWS", MiniStack, which imitates AWS in a process of its own.
"""
