"""Records on disk become training samples: mixtures by weight, films decoded in workers, a stream that resumes."""
