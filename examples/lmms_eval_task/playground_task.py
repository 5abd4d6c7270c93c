"""What lmms-eval asks about a record of questions.jsonl: its film, and whether an answer is right."""


def film(doc):
    """Return the films to show."""
    return [doc["video"]]


def verdict(doc, results):
    """Return what an answer is worth under each metric."""
    return {"right": float(results[0].strip().strip("().") == doc["expected"])}
