"""Restores tables to one second, and switches the functions to them."""
