"""What is said of a clip, by captioners, by rule or by language models, and the records made of it."""
