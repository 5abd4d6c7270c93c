"""Raw videos become training data: cut, score, filter, balance, caption, refine, instruct."""
