"""Reads the books for the commands: finds payments, verifies accounts, and exports entries."""
