"""The checks of ``topup doctor``."""
