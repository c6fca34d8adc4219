"""Gives units without a payment (grants), and takes them back.

They come from the seller's backend, from an operator, or as a welcome.
"""
