"""Lots: units that came in together, and the order in which they burn, are held and expire."""
