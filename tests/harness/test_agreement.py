"""`--rules lmms-eval` gives lmms-eval's own verdicts, on thousands of answers of all kinds: `make test-harness`.

Its functions are taken out of the installed files one by one, since its modules ask for far more than they use.
"""

import ast
import importlib.util
import random
import re
import warnings
from pathlib import Path

import pytest

from kangaroo.evaluation.benchmark import Outcome, Question, Rules
from kangaroo.evaluation.table import BENCHMARKS

pytestmark = pytest.mark.harness

NUM_ANSWERS = 2000
PIECES = [
    *"ABCDEabde", "(A)", "(B)", "(E)", "B.", "C:", "D)", "A or B", "[A]", "{B}", "**C**", "（A）", "_A_", "not A",
    "3.5 B", "the answer is", "The best option is", "Best answer:", "Answer: B", "I choose", "答案是", "选", "正确",
    "我不知道", "A man", "walks", "I", "cannot tell", "I'm sorry, but I cannot help", "red", "blue car", "C walks",
    "DAD", "U.S.A.", ".", ",", "\n", "'", '"', "-", "1,2", "yes", "no", "Yes, it does", "because", "!", "", "  ",
]  # fmt: skip


def tasks() -> Path:
    found = importlib.util.find_spec("lmms_eval")
    assert found is not None, "lmms-eval is not installed; make test-harness"
    assert found.origin is not None
    return Path(found.origin).parent / "tasks"


def taken(file, *names):
    """Return functions of a file of theirs, without the imports around them."""
    import numpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escapes of theirs that Python will not take for ever
        tree = ast.parse((tasks() / file).read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    space = {"re": re, "np": numpy, "random": NoChoice}
    space["__builtins__"] = __builtins__
    exec(compile(tree, file, "exec"), space)  # what the package index ships, in an environment of its own
    return [space[name] for name in names]


class NoChoice:
    """Where they pick at random there is nothing to agree with."""

    @staticmethod
    def choice(choices):
        return None


def answers(seed):
    rng = random.Random(seed)
    for _ in range(NUM_ANSWERS):
        yield rng.choice((" ", "", " ")).join(rng.choice(PIECES) for _ in range(rng.randint(0, 8)))


def ours(name, question, text):
    return BENCHMARKS[name].judge(question, text, Rules.LMMS_EVAL)


def asked(number, **more):
    options = ("red", "blue car", "green", "C walks", "none of it")[:number]
    return Question(id="1", film="f", question="q", options=options, answer="B", **more)


@pytest.mark.parametrize("name", ["video-mme", "mlvu", "lvbench"])
def test_letters_of_their_shared_parser(name):
    spec = importlib.util.spec_from_file_location("mcq_extract", tasks() / "_task_utils" / "mcq_extract.py")
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    for text in answers(name):
        assert (ours(name, asked(4), text).parsed or "") == theirs.extract_mcq_answer(text, list("ABCD")), text


def test_mvbench():
    score, total = taken("mvbench/utils.py", "mcq_acc", "mvbench_aggregate_results")
    for text in answers("mvbench"):
        verdict = ours("mvbench", asked(5), text)
        if verdict.outcome is Outcome.DROPPED:
            assert total([{"pred_answer": text, "score": 0}, {"pred_answer": "A", "score": 1}]) == 100
        else:
            assert verdict.score == score("B", text), text


@pytest.mark.parametrize("name", ["egoschema", "longvideobench"])
def test_what_picks_at_random_else(name):
    (parse,) = taken(f"{name}/utils.py", "parse_multi_choice_response")
    question = asked(5)
    for text in answers(name):
        try:
            letter = parse(text, list("ABCDE"), dict(zip("ABCDE", question.options, strict=True)))
        except AttributeError:  # MMMU's goes on with what was picked
            letter = None
        letter = letter[0] if isinstance(letter, tuple) else letter
        verdict = ours(name, question, text)
        assert verdict.parsed == letter, text
        assert (verdict.outcome is Outcome.GUESSED) == (letter is None)


def test_tempcompass():
    match, yes_no = taken("tempcompass/utils.py", "eval_rule", "extract_pred")
    captions = "Which?\nCaption A: The man runs.\nCaption B: The man walks in."
    matching = Question(id="1", film="f", question=captions, options=("The man runs.", "The man walks in."), answer="B", task="caption_matching")  # fmt: skip  # noqa: E501
    rng = random.Random(1)
    said = ["A", "B", "A.", "Caption A", "Caption B.", "The man runs.", "(A) The man runs.", "B) The man walks in."]
    for text in answers("tempcompass"):
        verdict = ours("tempcompass", asked(0, task="yes_no"), text)
        assert verdict.parsed == (yes_no(text) or None), text
        text = rng.choice([text, *said, "Caption B: The man walks in."])  # noqa: PLW2901
        theirs = match(text, captions, "Caption B: The man walks in.")
        verdict = ours("tempcompass", matching, text)
        assert (verdict.outcome is Outcome.UNREAD) == (theirs == "fail"), text
        assert verdict.score == (0 if theirs == "fail" else theirs), text


def test_tempcompass_options():
    (process,) = taken("tempcompass/utils.py", "tempcompass_process_results_multi_choice")
    process.__globals__["get_eval_result"] = lambda prompt: ("a judge would tell", 0)
    doc = {"answer": "B. blue car", "question": "q", "video_id": "1", "dim": "speed"}
    rng = random.Random(2)
    for text in answers("options"):
        text = rng.choice([text, text, "B. blue car", "B) blue car", "A) red", "C.", "B.) or A"])  # noqa: PLW2901
        theirs = process(doc, [text])["avg_accuracy"]
        verdict = ours("tempcompass", asked(4, task="multi-choice"), text)
        assert (verdict.outcome is Outcome.UNREAD) == (not theirs["match_success"]), text
        assert verdict.score == theirs["rating"], text


def test_seed_bench():
    (process,) = taken("seedbench/utils.py", "seed_process_result")
    for text in answers("seed"):
        theirs = process({"answer": "B", "data_type": "video", "question_id": "1"}, [text])["seed_video"]
        assert ours("seed-bench-video", asked(4), text).score == (theirs["pred"] == theirs["answer"]), text
