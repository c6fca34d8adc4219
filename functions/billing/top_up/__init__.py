"""Makes automatic top-ups: a customer's agreement, and the one open charge under it."""
