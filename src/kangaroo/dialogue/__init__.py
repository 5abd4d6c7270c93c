"""A conversation becomes model inputs: processor, chat template, placeholders, loss mask."""
