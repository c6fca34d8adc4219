"""Events out: what a write tells the seller's systems, and how each event is delivered."""
