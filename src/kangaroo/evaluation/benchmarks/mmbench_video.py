"""MMBench-Video: 1,998 questions to be answered freely about 609 films; a judge gives 0 to 3 points for each answer."""

import re

from kangaroo.evaluation.benchmark import (
    Appeals,
    Benchmark,
    Outcome,
    Prompt,
    Question,
    Row,
    Rules,
    Verdict,
    words,
)
from kangaroo.evaluation.parse import parse_marks

_FULL = 3
# the authors' nine kinds of ability, and the finer ones that records name
_KINDS = {
    "CP": ("Video Topic", "Video Emotion", "Video Scene", "Video Style"),
    "FP-S": ("OCR", "Object Recognition", "Attribute Recognition", "Event Recognition", "Human Motion", "Counting"),
    "FP-C": ("Spatial Relationship", "Human-object Interaction", "Human Interaction"),
    "HL": ("Hallucination",),
    "LR": ("Structuralized Image-Text Understanding", "Mathematical Calculation"),
    "AR": ("Physical Property", "Function Reasoning", "Identity Reasoning"),
    "RR": ("Natural Relation", "Physical Relation", "Social Relation"),
    "CSR": ("Common Sense Reasoning",),
    "TR": ("Counterfactual Reasoning", "Causal Reasoning", "Future Prediction"),
}
_PERCEPTION = ("CP", "FP-S", "FP-C", "HL")
_KIND_OF = {fine: kind for kind, every in _KINDS.items() for fine in every}


def _question(row: Row) -> Question:
    # a list as Python writes it, which is read and not run
    fine = [first or second for first, second in re.findall(r"'([^']*)'|\"([^\"]*)\"", words(row["dimensions"]))]
    kinds = dict.fromkeys(_KIND_OF[one] for one in fine)
    halves = dict.fromkeys("perception" if kind in _PERCEPTION else "reasoning" for kind in kinds)
    return Question(
        id=words(row["index"]),
        film=words(row["video_path"]),
        question=words(row["question"]),
        answer=words(row["answer"]),
        groups=(
            *(("half", half) for half in halves),
            *(("kind", kind) for kind in kinds),
            *(("dimension", one) for one in fine),
        ),
        task="free",
    )


def _prompt(question: Question, _: str, rules: Rules) -> Prompt:
    # a model that takes films is asked the question alone in VLMEvalKit too
    short = "" if rules is Rules.VLMEVALKIT else "\nAnswer in a sentence or two."
    return Prompt(text=f"{question.question}{short}", max_new_tokens=512)


def _appeal(question: Question, output: str, _found: Verdict, _rules: Rules) -> Prompt:
    return Prompt(
        system="You compare an answer with the right one by what they mean, not by how they are worded. Reply with one "
        "number and nothing else: 3 they mean the same, 2 mostly right, 1 mostly wrong, 0 wrong throughout.",
        text=f"Question: {question.question}\nThe right answer: {question.answer}\nThe answer to compare: {output}",
    )


def _ruling(_: Question, reply: str) -> float | None:
    points = parse_marks(reply, f"0-{_FULL}")
    return points[0] / _FULL if len(points) == 1 else None


MMBENCH_VIDEO = Benchmark(
    name="mmbench-video",
    title="MMBench-Video",
    source="https://huggingface.co/datasets/opencompass/MMBench-Video",
    records=lambda data: data.rows("MMBench-Video.tsv"),
    question=_question,
    prompt=_prompt,
    judge=lambda _question, _output, _rules: Verdict(outcome=Outcome.UNJUDGED),
    appeals=Appeals(ask=_appeal, read=_ruling),
    points=_FULL,
)
