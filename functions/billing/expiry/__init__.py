"""Lets holds and lots expire, and shows an account as if that were written."""
