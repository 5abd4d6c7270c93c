"""Runs steps over films and remembers what came of them; knows of no score and no word."""
