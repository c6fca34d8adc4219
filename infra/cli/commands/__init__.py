"""One module for each command of ``topup``."""
