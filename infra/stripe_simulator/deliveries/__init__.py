"""Webhook deliveries: the queue, the sender, and the Stripe CLI's socket."""
