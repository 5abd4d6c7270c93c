"""One file for each benchmark, each a value."""
