"""The network and its weights: tensors in, tensors out. Knows no file, video or web library."""
