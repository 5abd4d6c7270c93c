"""Weights in and out: convert the published checkpoint, assemble from public parts, export, say what fits."""
