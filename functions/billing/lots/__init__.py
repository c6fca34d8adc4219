"""Lots: the units of one purchase or grant, and the order of their use."""
