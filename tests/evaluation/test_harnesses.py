"""How other harnesses read letters, traps included; `make test-harness` asks lmms-eval itself."""

import pytest

from kangaroo.evaluation.harnesses import (
    first_character,
    lmms_eval_letter,
    lmms_eval_mmmu_letter,
    lmms_eval_mvbench_letter,
    longvideobench_letter,
    vlmevalkit_letter,
)
from kangaroo.evaluation.parse import parse_letter

OPTIONS = ("a red cup", "a blue cup", "no cup", "two cups")


@pytest.mark.parametrize(
    ("text", "lmms_eval", "vlmevalkit", "ours"),
    [
        ("B", "B", "B", "B"),
        ("(B)", "B", "B", "B"),
        ("B. a blue cup", "B", "B", "B"),
        ("答案是C", "C", "C", "C"),
        ("The answer is D.", "D", "D", "D"),
        ("A man, so the answer is C", "A", "A", "C"),  # the article at the start
        ("The best option is B", "B", "B", "B"),
        ("Best answer: C", "C", "B", "C"),  # a missing comma: "Best" begins with B
        ("Dunno", "D", "D", None),  # any capital
        ("the answer is A or B", "B", "A", None),
        ("a blue cup", None, None, "B"),
        ("", None, None, None),
        ("...", None, None, None),
    ],
)
def test_letters_as_each_reads_them(text, lmms_eval, vlmevalkit, ours):
    assert lmms_eval_letter(text, "ABCD") == lmms_eval
    assert vlmevalkit_letter(text, "ABCD") == vlmevalkit
    assert parse_letter(text, OPTIONS) == ours


@pytest.mark.parametrize(
    ("text", "letter"),
    [("(B)", "B"), ("b.", "B"), ("C. walks", "C"), ("The cup. A", "A"), ("I see a cup", "A"), ("no", None)],
)
def test_mvbench_in_lmms_eval_takes_the_article_for_an_answer(text, letter):
    assert lmms_eval_mvbench_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [("(A) or (B)", "A"), ("C", "C"), ("well, there are two cups there I think", "D"), ("two cups", None)],
)
def test_egoschema_in_lmms_eval_reads_after_mmmu(text, letter):
    assert lmms_eval_mmmu_letter(text, OPTIONS) == letter


def test_longvideobench_takes_the_first_capital_and_seed_bench_the_first_character():
    assert longvideobench_letter("The best option is E", "ABCDE") == "E"
    assert longvideobench_letter("none", "ABCDE") is None
    assert first_character(" C is it", "ABCD") == "C"
    assert first_character("the C", "ABCD") is None
