"""Benchmarks as plain values: records, prompt, parser, scorer. Sees a model only as an `Answerer`."""
