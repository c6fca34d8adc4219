"""The checks of ``topup doctor``, one module a subject."""
