"""What runs where a function runs; it needs the standard library alone."""
