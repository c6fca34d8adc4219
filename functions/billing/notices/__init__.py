"""Sends events out: decides which events a write causes, stores them and delivers them."""
