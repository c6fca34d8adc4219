"""The commands of ``topup``, one module each."""
