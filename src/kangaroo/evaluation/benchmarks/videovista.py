"""VideoVista: questions with up to four options about films of seconds to ten minutes.

Nineteen types are to be understood, eight to be reasoned about. No harness has it: rules other than ours read as the
authors' own scorer does.
"""

from kangaroo.evaluation.benchmark import Benchmark, Prompt, Question, Row, Rules, Verdict, words
from kangaroo.evaluation.choices import (
    DIRECTLY,
    LETTER_TOKENS,
    letter_at,
    options_text,
    own_prompt,
    unlettered,
    verdict,
)
from kangaroo.evaluation.parse import parse_letter

_LONGEST_MIN = 10
_REASONING = frozenset(
    (
        *("Relation Reasoning-Image", "Relation Reasoning-Video", "Event Prediction", "Action Prediction"),
        *("Causal Reasoning", "Counterfactual Reasoning", "Commonsense Reasoning", "Logic Reasoning"),
    )
)
_WITH_PICTURE = "Relation Reasoning-Image"


def _question(row: Row) -> Question:
    kind = words(row["Type"])
    minutes = min(_LONGEST_MIN, int(float(row["time"]) // 60))
    return Question(
        id=words(row["question_id"]),
        film=words(row["video_name"]),
        question=words(row["Question"]),
        options=unlettered(row["Answer_Choices"]),
        answer=letter_at(int(row["Answer"])),
        groups=(
            ("half", "reasoning" if kind in _REASONING else "understanding"),
            ("type", kind),
            ("category", words(row["category"])),
            ("minutes", str(minutes)),
        ),
        fault="it shows a picture beside the film, which is not asked here" if kind == _WITH_PICTURE else "",
    )


def _prompt(question: Question, _: str, rules: Rules) -> Prompt:
    if rules is Rules.STRICT:
        return own_prompt(question)
    text = f"Question: {question.question}\nOptions:\n{options_text(question)}\n{DIRECTLY}"
    return Prompt(text=text, max_new_tokens=LETTER_TOKENS)


def _judge(question: Question, output: str, rules: Rules) -> Verdict:
    if rules is Rules.STRICT:
        return verdict(question, parse_letter(output, question.options))
    first = [character for character in output.strip()[:2] if character in tuple(question.letters)]
    return verdict(question, first[0] if first else None)


VIDEOVISTA = Benchmark(
    name="videovista",
    title="VideoVista",
    source="https://huggingface.co/datasets/Uni-MoE/VideoVista",
    records=lambda data: data.rows("VideoVista.json"),
    question=_question,
    prompt=_prompt,
    judge=_judge,
)
