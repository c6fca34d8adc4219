"""Runs the local stack: the whole product on one machine, on an embedded AWS."""
