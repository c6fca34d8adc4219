"""Keeps agreements to automatic top-ups: what a customer has agreed to, and the card."""
