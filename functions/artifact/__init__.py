"""Assembles the artifact that Lambda runs: our code and the locked packages.

It needs Python 3.11 or newer with pip, and of this repository only its own
folder. The artifact does not contain it.
"""
