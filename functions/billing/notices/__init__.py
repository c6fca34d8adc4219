"""Sends events to the seller: decides which, stores them and delivers them."""
