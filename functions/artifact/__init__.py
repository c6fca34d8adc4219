"""Assembles the artifact that Lambda runs: our code and the locked packages.

Needs Python 3.11 or newer with pip, and nothing of this repository but this folder. It is not in
the artifact itself.
"""
