"""What ``topup doctor`` checks."""
