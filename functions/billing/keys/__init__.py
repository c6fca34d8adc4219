"""Manages a user's API keys: their limits, their use, and what a call costs."""
