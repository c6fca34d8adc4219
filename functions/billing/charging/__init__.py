"""Charges a saved card: the state machine of one charge, and its requests to Stripe."""
