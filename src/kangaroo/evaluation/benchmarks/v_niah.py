"""V-NIAH: a picture hidden at some depth of a long film of the user's own, and a question that only it answers.

As LongVA scores it: the model is read the right answer and must find each of its tokens the likeliest. `v-niah-said`
lets it speak, for models behind an endpoint.
"""

from dataclasses import replace

from kangaroo.evaluation.benchmark import Benchmark, Outcome, Prompt, Question, Row, Rules, Verdict, Way, words
from kangaroo.evaluation.choices import split_options
from kangaroo.evaluation.haystack import name_of
from kangaroo.evaluation.parse import normalise, parse_letter


def _question(row: Row) -> Question:
    frames, depth = row["frames"], row["depth"]
    name = name_of(frames, depth, row["needle"])
    asked = words(row["question"]).strip()
    split_options(asked)  # refuses now what could not be read later
    return Question(
        id=name,
        film=name,
        question=asked,
        answer=words(row["answer"]).strip(),
        groups=(("frames", str(frames)), ("depth", f"{depth:g}"), ("needle", str(row["needle"]))),
        task="needle",
        num_frames=frames + 1,
    )


def _prompt(question: Question, _spoken: str, _rules: Rules) -> Prompt:
    return Prompt(text=question.question, max_new_tokens=16)


def _judge(question: Question, output: str, _rules: Rules) -> Verdict:
    return Verdict(outcome=Outcome.READ, parsed=output or None, score=float(output == question.answer))


def _judge_said(question: Question, output: str, _rules: Rules) -> Verdict:
    options = split_options(question.question)[1]
    parsed = parse_letter(output, options) if len(options) > 1 else normalise(output) or None
    if parsed is None:
        return Verdict(outcome=Outcome.UNREAD, score=0.0)
    right = question.answer or ""
    return Verdict(outcome=Outcome.READ, parsed=parsed, score=float(parsed in (right, normalise(right))))


V_NIAH = Benchmark(
    name="v-niah",
    title="V-NIAH, a needle in a long film",
    source="https://huggingface.co/datasets/lmms-lab/v_niah_needles",
    records=lambda data: data.rows(),
    question=_question,
    prompt=_prompt,
    judge=_judge,
    way=Way.FORCE,
    grid=("depth", "frames"),
)

V_NIAH_SAID = replace(V_NIAH, name="v-niah-said", title="V-NIAH, answered in words", judge=_judge_said, way=Way.SAY)
