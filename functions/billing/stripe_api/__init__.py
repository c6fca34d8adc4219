"""Talks to Stripe: sends requests, verifies signatures, and parses events.

A parsed event is a fact, defined in billing/facts.py.
"""
