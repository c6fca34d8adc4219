"""Webhook deliveries: the queue of pending ones, and the sender."""
