"""API keys of a user: their limits, their use, and what a call costs."""
