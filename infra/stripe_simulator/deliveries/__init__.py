"""Delivers webhooks: the queue of pending deliveries, and the sender."""
