"""Lets customers read their quota, lots and ledger, and reminds of expiry."""
