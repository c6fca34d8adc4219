"""Defines plans and payments, and decides what each event changes in them.

Refunds and disputes are among the events.
"""
