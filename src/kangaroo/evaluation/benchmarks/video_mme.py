"""Video-MME: 2,700 questions with four options about 900 films of 11 s to an hour, with and without subtitles."""

from dataclasses import replace

from kangaroo.evaluation.benchmark import Benchmark, Prompt, Question, Row, Rules, words
from kangaroo.evaluation.choices import DIRECTLY, LETTER_TOKENS, choice, options_text, own_prompt, unlettered
from kangaroo.evaluation.harnesses import lmms_eval_letter

_LISTED = "This video's subtitles are listed below:"
_SELECT = (
    "Select the best answer to the following multiple-choice question based on the video{}. Respond with only the "
    "letter (A, B, C, or D) of the correct option."
)


def _question(row: Row) -> Question:
    return Question(
        id=words(row["question_id"]),
        film=f"data/{row['videoID']}",
        question=words(row["question"]),
        options=unlettered(row["options"]),
        answer=words(row["answer"]),
        groups=tuple((name, words(row[name])) for name in ("duration", "domain", "sub_category", "task_type")),
    )


def _with_subtitles(row: Row) -> Question:
    return replace(_question(row), subtitles=f"subtitle/{row['videoID']}.srt")


def _prompt(question: Question, spoken: str, rules: Rules) -> Prompt:
    options = options_text(question)
    match rules:
        case Rules.STRICT:
            return own_prompt(question, spoken)
        case Rules.LMMS_EVAL:
            # "and the subtitles" stands there without any, too
            asked = f"{_SELECT.format(' and the subtitles')}\n{question.question}\n{options}\n"
            text = f"{asked}\n{DIRECTLY}"
            if question.subtitles:
                text = f"{_LISTED} \n{spoken or 'No subtitles available'}\n{asked}The best answer is:"
        case Rules.VLMEVALKIT:
            asked = f"{_SELECT.format(' and the subtitles' if spoken else '')}\n"
            shown = "\nThese are the frames of a video. "
            listed = f"{_LISTED}\n{spoken}\n" if spoken else ""
            text = f"{shown}{listed}{asked}Question: {question.question}\n{options}\nAnswer: "
    return Prompt(text=text, max_new_tokens=LETTER_TOKENS)


VIDEO_MME = Benchmark(
    name="video-mme",
    title="Video-MME, without subtitles",
    source="https://huggingface.co/datasets/lmms-lab/Video-MME",
    records=lambda data: data.rows("videomme/test-*.parquet"),
    question=_question,
    prompt=_prompt,
    judge=choice(lambda output, question: lmms_eval_letter(output, question.letters)),
)

VIDEO_MME_SUBTITLES = replace(
    VIDEO_MME, name="video-mme-subtitles", title="Video-MME, with subtitles", question=_with_subtitles
)
