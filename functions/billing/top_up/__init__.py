"""Makes automatic top-ups: opens an account's charge, runs it, and closes it."""
