"""The stand: the whole product on one machine, on an embedded AWS."""
