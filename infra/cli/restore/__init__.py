"""Restores tables to one second, and makes the functions use them."""
