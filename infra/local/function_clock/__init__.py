"""Contains the module with which the embedded AWS moves its functions' clock for tests."""
