"""Reading letters, yes and no out of answers as models really give them."""

import pytest

from kangaroo.evaluation.parse import normalise, parse_letter, parse_second, parse_yes_no

OPTIONS = ("red circle", "circle", "blue square", "dog")
COLOURS = ("red", "blue", "green", "at 12 seconds")
CHINESE = ("红色圆形", "圆形", "蓝色方形", "狗")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("B.", "B"),
        ("(B)", "B"),
        ("( b )", "B"),
        ("[C]", "C"),
        (" D \n", "D"),
        ("**C**", "C"),
        ("`A`", "A"),
        ("$\\boxed{D}$", "D"),
        ("B. circle", "B"),
        ("(B) circle", "B"),
        ("B) circle", "B"),
        ("B: circle", "B"),
        ("C. red circle", "C"),  # the letter counts, not the words behind it
        ("The answer is C", "C"),
        ("The answer is: (C).", "C"),
        ("answer: D", "D"),
        ("Answer: **D**", "D"),
        ("The correct option is B, because it moves.", "B"),
        ("The best option: A", "A"),
        ("A man walks by, so the answer is C.", "C"),
        ("The answer is A. No, wait: the answer is D", "D"),
        ("Option C", "C"),
        ("I would say (D), since the dog barks", "D"),
        ("I think it's B", "B"),
        ("C is correct", "C"),
        ("It is not (A) but (B)", "B"),
        ("blue square", "C"),
        ("Blue square.", "C"),
        ("It shows the blue square in motion", "C"),
        ("red circle", "A"),
        ("a red circle appears", "A"),  # `circle` lies within `red circle`
        ("the dog", "D"),
    ],
)
def test_a_choice_is_read(text, letter):
    assert parse_letter(text, OPTIONS) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Ｂ", "B"),
        ("（Ｃ）", "C"),
        ("B。", "B"),
        ("C、蓝色方形", "C"),
        ("答案是A", "A"),
        ("答案：（D）", "D"),
        ("正确答案是 B。", "B"),
        ("答案为C", "C"),
        ("我选D", "D"),
        ("选择B选项", "B"),
        ("应选C。", "C"),
        ("选项A", "A"),
        ("不是A，答案是B", "B"),
        ("蓝色方形。", "C"),
        ("画面里的红色圆形", "A"),
        ("狗", "D"),
    ],
)
def test_a_choice_in_chinese_is_read(text, letter):
    assert parse_letter(text, CHINESE) == letter


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "E",
        "I cannot tell.",
        "A man walks by",
        "A cat",
        "A or B",
        "A, B",
        "A and C",
        "(A) or (B)",
        "A/B",
        "A、C",
        "A或B",
        "The answer is A or B",
        "A. red circle\nB. circle\nC. blue square\nD. dog",
        "(A) red circle (B) circle (C) blue square (D) dog",
        "the dog and the blue square",
        "ABCD",
        "BBBBBBBB",
        "not A",
        "It isn't B",
        "Dad",
        "doghouse",
        "U.S.A.",
        "\x00\ufffd",
        "答案",
        "不选A",
    ],
)
def test_what_chooses_nothing_or_several_is_not_guessed(text):
    assert parse_letter(text, OPTIONS) is None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is A man walks.", "B"),
        ("Answer: A man walks", "B"),
        ("The answer is A man walks by", "B"),
        ("The answer is A dog barks.", "A"),
        ("The answer is A because a man walks", "A"),
        ("The answer is A", "A"),
        ("The answer is I see it", "H"),
        ("The answer is I see it all", "H"),
        ("The answer is I since it is told", "I"),
    ],
)
def test_an_article_begins_an_options_words_and_chooses_no_letter(text, letter):
    options = ("A dog barks", "A man walks", "Two cats", "A man", *"vwx", "I see it", "All")
    assert parse_letter(text, options) == letter


@pytest.mark.parametrize("options", [("e", "a", "n"), ("red", ""), ("red", "blue", "Red.")])
def test_no_words_and_the_words_of_two_options_choose_nothing(options):
    assert [parse_letter(text, options) for text in ("", "?!", "...")] == [None] * 3
    assert parse_letter("red", ("red", "blue", "Red.")) is None


def test_words_count_whole():
    assert parse_letter("bored", COLOURS) is None
    assert parse_letter("at 12 seconds", COLOURS) == "D"
    assert parse_letter("at 112 seconds", ("at 12 seconds", "at 1 second")) is None
    assert parse_letter("3", ("1", "2", "3", "13")) == "C"


def test_only_letters_that_were_offered_count():
    assert parse_letter("E", tuple("vwxyz")) == "E"
    assert parse_letter("(F)", tuple("vwxyz")) is None
    assert parse_letter("The answer is D", ("left", "right")) is None


@pytest.mark.timeout(10)
def test_long_and_hostile_text_ends_soon():
    for text in (
        "A" * 200_000,
        "(" * 100_000,
        "answer is " * 30_000,
        " , " * 60_000,
        "A or " * 40_000,
        "answer" + "(" * 90_000,
    ):
        parse_letter(text, OPTIONS)
        parse_yes_no(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes", True),
        ("yes.", True),
        ("Yes, it does.", True),
        ("是的", True),
        ("是的。", True),
        ("对", True),
        ("有", True),
        ("No", False),
        ("no!", False),
        ("No, it does not.", False),
        ("不是", False),
        ("没有。", False),
        ("否", False),
        ("", None),
        ("Nobody knows", None),
        ("Yesterday", None),
        ("yes and no", None),
        ("Yes or no", None),
        ("是不是", None),
        ("red", None),
    ],
)
def test_yes_and_no_are_read(text, said):
    assert parse_yes_no(text) is said


def test_what_does_not_matter_for_equality_is_taken_out():
    assert normalise("The Red  circle.") == normalise("red circle") == "red circle"
    assert normalise("第 12 秒。") == normalise("第12秒")
    assert normalise("３ 次！") == "3次"
    assert normalise("at 2 seconds") != normalise("at 12 seconds")
    assert normalise("left") != normalise("right")


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("at 12 seconds", 12),
        ("At 1 second.", 1),
        ("第12秒", 12),
        ("第１２秒。", 12),
        ("0", 0),
        ("at 12 seconds, at 12 seconds", 12),
        ("at 12 or 13 seconds", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
    ],
)
def test_a_second_is_read_where_only_one_is_named(text, second):
    assert parse_second(text) == second
