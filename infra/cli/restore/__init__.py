"""Tables as they were at one second, and the functions led to them."""
