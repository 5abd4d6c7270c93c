"""Answers: load a model, generate, keep a session, or speak to a remote one. Both are `Answerer`s."""
