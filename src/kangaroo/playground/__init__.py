"""Films whose content is known: drawn from a seed, with facts, questions and answers in English and Chinese."""
