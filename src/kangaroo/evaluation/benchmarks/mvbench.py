"""MVBench: 20 tasks of 200 questions with two to five options about short clips; the score is the mean of the tasks."""

from collections.abc import Iterable, Iterator
from typing import Any

from kangaroo.evaluation.benchmark import Benchmark, Outcome, Prompt, Question, Row, Rules, Verdict, each_words, words
from kangaroo.evaluation.choices import LETTER_TOKENS, choice, letter_of, options_text, own_prompt, verdict
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.harnesses import lmms_eval_mvbench_letter

# where each task's films lie
_FOLDERS = {
    "action_antonym": "ssv2_video",
    "action_count": "perception/videos",
    "action_localization": "sta/sta_video",
    "action_prediction": "star/Charades_v1_480",
    "action_sequence": "star/Charades_v1_480",
    "character_order": "perception/videos",
    "counterfactual_inference": "clevrer/video_validation",
    "egocentric_navigation": "vlnqa",
    "episodic_reasoning": "tvqa/frames_fps3_hq",
    "fine_grained_action": "Moments_in_Time_Raw/videos",
    "fine_grained_pose": "nturgbd",
    "moving_attribute": "clevrer/video_validation",
    "moving_count": "clevrer/video_validation",
    "moving_direction": "clevrer/video_validation",
    "object_existence": "clevrer/video_validation",
    "object_interaction": "star/Charades_v1_480",
    "object_shuffle": "perception/videos",
    "scene_transition": "scene_qa/video",
    "state_change": "perception/videos",
    "unexpected_action": "FunQA_test/test",
}
_SYSTEM = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
    "objects, and the action and pose of persons. Based on your observations, select the best option that accurately "
    "addresses the question."
)


def _records(data: Dataset) -> Iterator[Row]:
    for task in _FOLDERS:
        for place, row in enumerate(data.rows(f"json/{task}.json")):
            yield {"task": task, "place": place, "row": row}


def _question(record: Row) -> Question:
    row, task = record["row"], record["task"]
    options = each_words(row["candidates"])
    return Question(
        id=f"{task}/{record['place']}",
        film=f"{_FOLDERS[task]}/{row['video']}",
        question=words(row["question"]),
        options=options,
        answer=letter_of(words(row["answer"]), options),
        groups=(("task", task),),
        start_s=_second(row.get("start")),
        end_s=_second(row.get("end")),
        folder_fps=3.0,
    )


def _second(value: Any) -> float | None:
    return None if value is None else float(value)


def _prompt(question: Question, _: str, rules: Rules) -> Prompt:
    options = options_text(question, "({}) {}")
    match rules:
        case Rules.STRICT:
            return own_prompt(question)
        case Rules.LMMS_EVAL:
            text = f"Question:{question.question}\nOption:\n{options}\nOnly give the best option.\n"
            return Prompt(text=text, max_new_tokens=LETTER_TOKENS)
        case Rules.VLMEVALKIT:
            text = f"Question: {question.question}\nOptions:\n{options}\nOnly give the best option."
            return Prompt(text=text, system=_SYSTEM, max_new_tokens=LETTER_TOKENS)


_choice = choice(lambda output, _: lmms_eval_mvbench_letter(output))


def _judge(question: Question, output: str, rules: Rules) -> Verdict:
    if rules is Rules.LMMS_EVAL and not output:
        return verdict(question, None, Outcome.DROPPED)  # an empty answer is no question asked
    return _choice(question, output, rules)


def _submission(read: Iterable[tuple[Question, str | None]]) -> dict[str, float]:
    """Return what the authors' leaderboard takes: each task's percentage, and that of all questions."""
    right: dict[str, list[bool]] = {}
    for question, letter in read:
        if not question.fault:
            right.setdefault(question.groups[0][1].replace("_", " ").title(), []).append(letter == question.answer)
    right["Avg"] = [one for own in right.values() for one in own]
    return {task: 100 * sum(own) / len(own) for task, own in right.items() if own}


MVBENCH = Benchmark(
    name="mvbench",
    title="MVBench",
    source="https://huggingface.co/datasets/OpenGVLab/MVBench",
    records=_records,
    question=_question,
    prompt=_prompt,
    judge=_judge,
    submission=_submission,
    # lmms-eval prints 20 scores and no mean; it is taken by hand
    mean_over={Rules.STRICT: "task", Rules.LMMS_EVAL: "task"},
)
