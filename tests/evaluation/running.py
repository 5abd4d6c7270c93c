"""Run a benchmark on a small data set, with one who answers and one who judges."""

import json

from answerers import Scripted
from layouts import opened

from kangaroo.evaluation.benchmark import Way, questions_of
from kangaroo.evaluation.measure import evaluate_benchmark
from kangaroo.evaluation.table import BENCHMARKS


def questions(name, root, tmp_path):
    return questions_of(BENCHMARKS[name], opened(name, root, tmp_path / "unpacked"))


def in_words(question, way):
    """A right answer, as a model gives it that was asked in any benchmark's way."""
    if question.task == "caption_matching":
        return f"Sentence {question.answer}"
    if way is Way.RANK:
        return question.options[question.letters.index(question.answer)]
    return question.answer or "A"


def knowing(name, asked):
    """One who answers each question as it is known, by what the prompt holds."""
    way = BENCHMARKS[name].way

    def reply(text, film):
        own = {
            in_words(one, way)
            for one in asked
            if one.question.split("\n")[0] in text
            and not one.fault
            and (way is Way.RANK or all(option in text for option in one.options))
        }
        (answer,) = own
        return answer

    return Scripted(reply, name="knowing")


def fair(text, film=None):
    """A judge who gives all to what repeats the reference, and nothing to anything else."""
    lines = text.split("\n")
    if lines[0] == "The description:":
        return lines[1]
    if "The reference:" in lines:
        right, said = (lines[lines.index(title) + 1] for title in ("The reference:", "To be marked:"))
        return "5 and 5" if right == said else "1, 1"
    right, said = (line.partition(": ")[2] for line in lines[-2:])
    if "The answer to mark" in lines[-1]:
        return "Correct." if right == said else "Incorrect"
    return "3" if right == said else "0"


def run(answerer, name, root, out, **options):
    if BENCHMARKS[name].appeals is not None:
        options.setdefault("judge", Scripted(fair, name="fair"))
    data = opened(name, root, out / "unpacked")
    return evaluate_benchmark(answerer, BENCHMARKS[name], data, out, **options).values


def read(folder, file="report.json"):
    return json.loads((folder / file).read_text(encoding="utf-8"))
