"""A file of questions becomes a file of answers: in order, once, whatever breaks on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
from answerers import Scripted

from kangaroo import cli
from kangaroo.chat.answerer import Sampling
from kangaroo.errors import EndpointError, OptionError
from kangaroo.evaluation.asking import Pace
from kangaroo.evaluation.batch import answer_questions
from kangaroo.video.write import write_video

FILMS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Three films of two seconds."""
    folder = tmp_path_factory.mktemp("films")
    for place, name in enumerate(FILMS):
        pixels = np.zeros((8, 48, 64, 3), dtype=np.uint8)
        pixels[..., place] = 40 + 20 * np.arange(8)[:, None, None]
        write_video(folder / f"{name}.mp4", pixels, fps=4.0)
    return folder


def write(folder, *lines):
    path = folder / "questions.jsonl"
    text = "".join(line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def about(films, *names, question="What happens?"):
    return [{"video": str(films / f"{name}.mp4"), "question": question} for name in names]


def telling():
    return Scripted(lambda question, film: f"{film}: {question}")


def test_answers_stand_in_the_order_of_the_questions_whatever_the_order_of_asking(tmp_path, films):
    asked = [
        {**one, "question": f"{number}?", "id": f"q{number}"}
        for number, one in enumerate(about(films, "red", "green", "red", "blue", "green", "red"))
    ]
    seen = []
    answerer = Scripted(lambda question, film: seen.append(film) or f"{film}: {question}")
    returned = answer_questions(answerer, write(tmp_path, *asked), tmp_path / "answers.jsonl")
    lines = read(tmp_path / "answers.jsonl")
    assert lines == returned
    assert [line["id"] for line in lines] == [f"q{number}" for number in range(6)]
    for number, line in enumerate(lines):
        assert line["answer"] == f"{os.path.basename(asked[number]['video'])}: {number}?"
        assert line["times_s"] == [0.0, 2.0]
        assert (line["frames"], line["model"], line["failure"]) == (2, "scripted", None)
    assert seen == ["red.mp4"] * 3 + ["green.mp4"] * 2 + ["blue.mp4"]


def test_what_cannot_be_asked_or_answered_is_told_in_its_place_and_the_others_go_on(tmp_path, films):
    (films / "broken.mp4").write_bytes(b"no film at all")
    questions = write(
        tmp_path,
        *about(films, "red"),
        "{nonsense\n",
        *about(films, "missing", "broken", "green"),
        {"video": None, "question": "Anything?"},
        {**about(films, "red")[0], "start_s": 50},
    )
    lines = answer_questions(telling(), questions, tmp_path / "answers.jsonl")
    assert [line["answer"] is not None for line in lines] == [True, False, False, False, True, True, False]
    whys = [line["failure"] for line in lines]
    for place, why in ((1, "not JSON"), (2, "no such file"), (3, "broken.mp4"), (6, "the clip starts at 50 s")):
        assert why in whys[place]
    assert lines[5]["answer"] == "None: Anything?"
    assert all(line.keys() == lines[0].keys() for line in lines)


def test_what_was_answered_is_not_asked_again_and_what_failed_is(tmp_path, films):
    out = tmp_path / "answers.jsonl"
    moody = telling()
    moody.reply = lambda question, film: "well" if film != "green.mp4" else (_ for _ in ()).throw(EndpointError("busy"))
    first = answer_questions(moody, write(tmp_path, *about(films, *FILMS)), out)
    assert [line["failure"] for line in first] == [None, "busy", None]
    again = telling()
    more = [*about(films, *FILMS), *about(films, "red", question="And then?")]
    lines = answer_questions(again, write(tmp_path, *more), out)
    assert again.asked == 2
    assert [line["answer"] for line in lines] == ["well", "green.mp4: What happens?", "well", "red.mp4: And then?"]


def test_a_question_or_film_that_changed_is_asked_again(tmp_path, films):
    film = tmp_path / "film.mp4"
    film.write_bytes((films / "red.mp4").read_bytes())
    line = {"id": "a", "video": "film.mp4", "question": "What?"}
    changes = [{}, {"question": "Who?"}, {"frames": 2}, {"max_new_tokens": 9}]
    for number, change in enumerate(changes, start=1):
        answerer = telling()
        answer_questions(answerer, write(tmp_path, {**line, **change}), tmp_path / "out.jsonl")
        assert answerer.asked == 1, number
    film.write_bytes((films / "green.mp4").read_bytes())
    os.utime(film, ns=(1, 1))
    answerer = telling()
    answer_questions(answerer, write(tmp_path, line), tmp_path / "out.jsonl")
    assert answerer.asked == 1


def test_the_same_question_twice_is_asked_once(tmp_path, films):
    answerer = telling()
    lines = answer_questions(answerer, write(tmp_path, *about(films, "red", "red")), tmp_path / "out.jsonl")
    assert answerer.asked == 1
    assert [line["id"] for line in lines] == [1, 2]
    assert lines[0]["answer"] == lines[1]["answer"]


def test_files_that_are_not_its_own_are_never_written_over(tmp_path, films):
    questions = write(tmp_path, *about(films, "red"))
    other = tmp_path / "thesis.txt"
    other.write_text("years of work")
    for out in (other, questions, tmp_path):
        with pytest.raises(OptionError):
            answer_questions(telling(), questions, out)
    assert other.read_text() == "years of work"
    assert read(questions) == about(films, "red")


def test_another_models_answers_are_not_mixed_in(tmp_path, films):
    questions, out = write(tmp_path, *about(films, "red")), tmp_path / "out.jsonl"
    answer_questions(telling(), questions, out)
    with pytest.raises(OptionError, match=r"out\.jsonl\.run holds a run with model"):
        answer_questions(Scripted(lambda question, film: "x", name="other"), questions, out)


@pytest.mark.parametrize("pace", [Pace(), Pace(workers=2), Pace(batch=4), Pace(batch=2, workers=3)], ids=str)
def test_answers_are_the_same_at_any_pace_and_a_film_is_seen_once(tmp_path, films, quick_answerer, pace):
    from kangaroo.chat.local import LocalAnswerer

    asked = [one for word in ("What?", "Who?") for one in about(films, *FILMS, "missing", question=word)]
    fresh = LocalAnswerer(quick_answerer.model, quick_answerer.processor, name="tiny")
    seen = Counter()
    see = fresh._films._see

    def count(frames, *others):
        seen.update(key for key in frames)
        return see(frames, *others)

    fresh._films._see = count
    questions = write(tmp_path, *({**one, "max_new_tokens": 5} for one in asked))
    lines = answer_questions(fresh, questions, tmp_path / "out.jsonl", pace=pace)
    for one, line in zip(asked, lines, strict=True):
        if "missing" in one["video"]:
            assert "no such file" in line["failure"]
            continue
        alone = quick_answerer.chat(one["video"]).ask(one["question"], sampling=Sampling(max_new_tokens=5)).read()
        assert line["answer"] == alone.text
        assert line["times_s"] == pytest.approx(alone.times_s[0])
    assert len(seen) == 3
    assert set(seen.values()) == {1}


def test_films_are_read_ahead_but_not_all_at_once(tmp_path, films):
    for number in range(12):
        (tmp_path / f"{number}.mp4").write_bytes((films / "red.mp4").read_bytes())
    prepared, answered, most = [], [], 0

    class Reading(Scripted):
        def prepare(self, conversation, sampling=Sampling()):
            prepared.append(conversation.videos[0].source.name)

    def reply(question, film):
        nonlocal most
        answered.append(film)
        assert film in prepared  # its turn waits for it
        most = max(most, len(prepared) - len(answered))
        return "well"

    asked = [{"video": f"{number}.mp4", "question": word} for number in range(12) for word in ("a", "b")]
    answer_questions(Reading(reply), write(tmp_path, *asked), tmp_path / "out.jsonl", pace=Pace(workers=3))
    assert sorted(prepared) == sorted(f"{number}.mp4" for number in range(12))
    assert most <= 3


CHILD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from answerers import Scripted
from kangaroo.evaluation.batch import answer_questions
slow = Scripted(lambda question, film: time.sleep(0.05) or f"{film}: {question}")
answer_questions(slow, Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_a_run_that_was_killed_goes_on_and_asks_nothing_twice(tmp_path, films):
    asked = [one for number in range(100) for one in about(films, *FILMS, question=f"{number}?")]
    questions, out = write(tmp_path, *asked), tmp_path / "out.jsonl"
    kept = tmp_path / "out.jsonl.run" / "answers.jsonl"
    here = os.path.dirname(__file__)
    child = subprocess.Popen([sys.executable, "-c", CHILD, here, str(questions), str(out)])
    ends = time.monotonic() + 60
    while not kept.exists() or kept.read_bytes().count(b"\n") < 5:
        assert child.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = kept.read_bytes().count(b"\n")
    assert 5 <= done < 300
    assert not out.exists()
    answerer = telling()
    lines = answer_questions(answerer, questions, out)
    assert answerer.asked == 300 - done
    assert [line["answer"] for line in lines] == [
        f"{os.path.basename(one['video'])}: {one['question']}" for one in asked
    ]


def test_the_command_counts_what_failed_and_leaves_with_one(tmp_path, films, capsys):
    questions = write(tmp_path, *about(films, "red"), "{nonsense\n")
    out = tmp_path / "answers.jsonl"
    common = ["batch", str(questions), "--out", str(out), "--max-new-tokens", "4", "--device", "cpu"]
    assert cli.run(common) == 1
    told = capsys.readouterr().err
    assert f"error: {questions}, line 2: not JSON" in told
    assert f"1 of 2 questions are answered in {out}" in told
    (line, bad) = read(out)
    assert line["model"] == "joey"
    assert bad["failure"].startswith("not JSON")
    write(tmp_path, *about(films, "red"))
    assert cli.run([*common, "--workers", "1"]) == 0
    assert cli.run([*common, "--fps", "0"]) == 2
