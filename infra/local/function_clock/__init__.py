"""What the embedded AWS gives its functions so that tests can move their clock."""
