"""The checks of ``topup doctor``, which finds a stack's faults; one module for each subject."""
