"""Raw videos become training data: cut, scored, decided, balanced, captioned, refined, made into records."""
