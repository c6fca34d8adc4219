"""Reads a stack's tables for the commands of ``topup``.

It finds payments, verifies accounts, and exports ledger entries.
"""
