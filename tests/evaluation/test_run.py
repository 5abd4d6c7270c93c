"""The whole road: questions, an answerer, answers on disk, reports; cut off and gone on with."""

import json
from collections import Counter
from pathlib import Path

import pytest
from answerers import Scripted, guessing, knowing

from kangaroo import cli
from kangaroo.chat.answerer import Likelihood
from kangaroo.errors import EndpointError, OptionError
from kangaroo.evaluation.asking import Pace
from kangaroo.evaluation.benchmark import Rules
from kangaroo.evaluation.films import Drawing, Films
from kangaroo.evaluation.playground import Part, make_playground
from kangaroo.evaluation.run import evaluate_playground
from kangaroo.evaluation.runs import compare
from kangaroo.evaluation.score import wilson
from kangaroo.evaluation.table import BENCHMARKS
from kangaroo.playground.vocabulary import Style
from kangaroo.video.source import VideoSource

SMALL = {"num_questions": 20, "seed": 26}  # films that are soon drawn
BLIND = {"num_questions": 200, "parts": (Part.NO_FILM,)}


def read(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def lines(folder):
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text(encoding="utf-8").splitlines()]


def saying_by_rote(name="rote"):
    """Answers that follow from the question alone, some of which cannot be read."""
    return Scripted(lambda question, film: ("A", "B", "(C)", "I do not know")[len(question) % 4], name=name)


@pytest.mark.slow
def test_who_knows_the_films_is_right_throughout(tmp_path, films_folder):
    playground = make_playground(**SMALL)
    report = evaluate_playground(knowing(playground), tmp_path, films=films_folder, **SMALL)
    for part in Part:
        assert report.accuracy(part) == 1, [line for line in lines(tmp_path) if not line["right"]]
    assert report.values["parts"]["describe"]["truth"] == 1
    for film in playground.films:
        described = VideoSource(Films(films_folder).path(film)).open()
        assert (described.width_px, described.height_px) == (film.width_px, film.height_px)
        assert described.duration_s == pytest.approx(film.duration_s, abs=1 / film.fps)


def test_drawn_films_are_used_again(tmp_path, films_folder):
    answerer = Scripted(lambda question, film: str(film))
    evaluate_playground(answerer, tmp_path / "first", films=films_folder, **SMALL)
    before = {path: path.stat().st_mtime_ns for path in films_folder.iterdir()}
    evaluate_playground(answerer, tmp_path / "second", films=films_folder, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in films_folder.iterdir()} == before
    assert {path.suffix for path in before} == {".mp4"}


def test_who_guesses_is_right_one_time_in_four(tmp_path):
    report = evaluate_playground(guessing(0), tmp_path, num_questions=800, parts=(Part.NO_FILM,))
    values = report.values["parts"]["no_film"]
    low, high = values["interval"]
    assert low < 0.25 < high
    assert values["unparsed"] == 0
    assert values["keys"] == dict.fromkeys("ABCD", 200)
    assert not (tmp_path / "films").exists()


def test_two_runs_are_compared_where_their_questions_are_the_same(tmp_path):
    right = {item.question: item.expected for item in make_playground(num_questions=200, parts=(Part.NO_FILM,)).items}
    for name, say in (("rote", lambda question, film: "A"), ("knowing", lambda question, film: right[question])):
        evaluate_playground(Scripted(say, name=name), tmp_path / name, **BLIND)
    found = compare(BENCHMARKS, tmp_path / "rote", tmp_path / "knowing", Rules.STRICT)
    assert found["models"] == ["rote", "knowing"]
    assert found["number"] == 200
    assert found["scores"] == [0.25, 1]
    assert found["difference"] == 0.75
    assert (found["only_first_right"], found["only_second_right"]) == (0, 150)
    with pytest.raises(OptionError, match="leave --rules out"):
        compare(BENCHMARKS, tmp_path / "rote", tmp_path / "knowing", Rules.LMMS_EVAL)
    evaluate_playground(saying_by_rote(), tmp_path / "other", **{**BLIND, "num_questions": 100})
    with pytest.raises(OptionError, match="give two of one"):
        compare(BENCHMARKS, tmp_path / "rote", tmp_path / "other", Rules.STRICT)


def test_the_report_tells_what_the_answers_say(tmp_path):
    evaluate_playground(saying_by_rote(), tmp_path, **BLIND)
    answers, values = lines(tmp_path), read(tmp_path)["parts"]["no_film"]
    right = sum(line["parsed"] == line["expected"] for line in answers)
    unreadable = sum(line["output"] == "I do not know" for line in answers)
    assert 0 < right < 200
    assert values["number"] == len(answers) == 200
    assert values["score"] == right / 200
    assert values["interval"][0] <= wilson(right, 200).low
    assert values["interval"][1] >= wilson(right, 200).high
    assert values["unparsed"] == unreadable > 0
    said = Counter(line["parsed"] or "none" for line in answers)
    assert values["answers"] == dict(said)
    for name, key in (("families", "family"), ("languages", "language")):
        for group, own in values[name].items():
            hits = [line["right"] for line in answers if line[key] == group]
            assert (own["number"], own["score"]) == (len(hits), sum(hits) / len(hits))
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"**{right / 2:.1f} %** of 200" in text
    assert f"Unreadable: {unreadable}." in text
    assert "GFLOP/s" in text
    assert "rote" in text


def test_a_run_that_was_cut_off_ends_as_an_unbroken_one(tmp_path):
    whole = evaluate_playground(saying_by_rote(), tmp_path / "whole", **BLIND)
    rote = saying_by_rote()
    broken = Scripted(rote.reply, name="rote")

    def fail_after(number):
        if broken.asked > number:
            raise EndpointError("gone")

    broken.reply = lambda question, film: fail_after(77) or rote.reply(question, film)
    with pytest.raises(EndpointError):
        evaluate_playground(broken, tmp_path / "cut", **BLIND)
    assert len(lines(tmp_path / "cut")) == 77
    # the machine lost power while a line was written
    path = tmp_path / "cut" / "answers.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = evaluate_playground(rote, tmp_path / "cut", **BLIND)
    assert rote.asked == 200 - 76
    for part in ("about", "films", "parts"):
        assert again.values[part] == whole.values[part]
    before, after = lines(tmp_path / "whole"), lines(tmp_path / "cut")
    assert [line["id"] for line in before] == [line["id"] for line in after]


def test_a_run_that_is_whole_asks_nothing_again(tmp_path):
    rote = saying_by_rote()
    first = evaluate_playground(rote, tmp_path, **BLIND)
    seen = []
    second = evaluate_playground(rote, tmp_path, progress=lambda *numbers: seen.append(numbers), **BLIND)
    assert rote.asked == 200
    assert seen == []
    assert second.values["parts"] == first.values["parts"]


def test_progress_counts_what_is_answered(tmp_path):
    seen = []
    evaluate_playground(saying_by_rote(), tmp_path, progress=lambda *numbers: seen.append(numbers), **BLIND)
    assert seen == [(number, 200) for number in range(1, 201)]


@pytest.mark.parametrize(
    "change",
    [{"num_questions": 220}, {"seed": 1}, {"parts": (Part.NO_FILM, Part.LETTERED)}, {"style": Style.NOTO}],
    ids=["number", "seed", "parts", "style"],
)
def test_other_questions_are_not_mixed_in(tmp_path, change):
    evaluate_playground(saying_by_rote(), tmp_path, **BLIND)
    with pytest.raises(OptionError, match="another folder"):
        evaluate_playground(saying_by_rote(), tmp_path, **{**BLIND, **change})


def test_another_model_is_not_mixed_in(tmp_path):
    evaluate_playground(saying_by_rote(), tmp_path, **BLIND)
    with pytest.raises(OptionError, match='"other"'):
        evaluate_playground(saying_by_rote("other"), tmp_path, **BLIND)


def scores(*nats):
    return lambda conversation, continuations: [Likelihood(nats=one, num_tokens=3, is_greedy=False) for one in nats]


def test_other_weights_under_the_same_name_are_not_mixed_in(tmp_path):
    first, second = saying_by_rote(), saying_by_rote()
    first.score = scores(-1.0, -20.0, -30.0)
    evaluate_playground(first, tmp_path, **BLIND)
    evaluate_playground(first, tmp_path, **BLIND)
    second.score = scores(-1.0, -20.0, -30.5)
    with pytest.raises(OptionError, match="likelihoods"):
        evaluate_playground(second, tmp_path, **BLIND)


def test_a_damaged_line_is_named(tmp_path):
    evaluate_playground(saying_by_rote(), tmp_path, **BLIND)
    path = tmp_path / "answers.jsonl"
    path.write_text("{}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(OptionError, match="line 1 is damaged"):
        evaluate_playground(saying_by_rote(), tmp_path, **BLIND)


def test_a_model_of_this_process_answers_alike_with_and_without_memory(tmp_path, films_folder, tiny_answerer):
    """Questions about one film share what was read of it; that must change no answer."""
    answerer = tiny_answerer

    class Cold:
        name = "tiny"

        def answer(self, conversation, sampling):
            return answerer.answer(conversation, sampling)

        def answer_batch(self, conversations, sampling):
            return answerer.answer_batch(conversations, sampling)

        def score(self, conversation, continuations):
            return answerer.score(conversation, continuations)

    options = {**SMALL, "parts": (Part.LETTERED,), "films": films_folder}
    evaluate_playground(answerer, tmp_path / "warm", **options)
    evaluate_playground(Cold(), tmp_path / "cold", **options)
    warm, cold = lines(tmp_path / "warm"), lines(tmp_path / "cold")
    assert [line["output"] for line in warm] == [line["output"] for line in cold]
    assert [line["num_frames"] for line in warm] == [line["num_frames"] for line in cold]
    assert max(line["num_frames"] for line in warm) == 64
    report = read(tmp_path / "warm")
    assert report["about"]["sampler"]["max_frames"] == 160
    assert report["speed"]["first_answer_64_frames"]["number"] == 1
    assert report["speed"]["tokens_per_s"] > 0
    assert report["machine"]["cpu_matmul_gflops"] > 0


def test_many_questions_at_once_get_the_answers_of_one_by_one(tmp_path, films_folder, tiny_answerer):
    options = {**SMALL, "parts": (Part.LETTERED, Part.NO_FILM, Part.OPEN), "films": films_folder}
    single = evaluate_playground(tiny_answerer, tmp_path / "single", **options)
    batched = evaluate_playground(tiny_answerer, tmp_path / "batched", **options, pace=Pace(batch=5))
    assert batched.values["parts"] == single.values["parts"]
    untimed = ("is_cold", "first_s", "timings_s")
    for name in untimed:
        assert any(line[name] for line in lines(tmp_path / "single"))
    one, other = (
        sorted(
            ({key: line[key] for key in line if key not in untimed} for line in lines(folder)), key=lambda x: x["id"]
        )
        for folder in (tmp_path / "single", tmp_path / "batched")
    )
    assert one == other
    assert batched.values["speed"]["batch"] == 5
    assert not any(line[name] for line in lines(tmp_path / "batched") for name in untimed)


def test_a_batch_holds_questions_of_one_kind_of_answer_and_fewer_about_long_films(tmp_path, films_folder):
    sizes = []

    class Counting(Scripted):
        def answer_batch(self, conversations, sampling):
            sizes.append((sampling.max_new_tokens, len(conversations)))
            return super().answer_batch(conversations, sampling)

    evaluate_playground(Counting(lambda question, film: "A"), tmp_path, films=films_folder, pace=Pace(batch=8), **SMALL)
    assert {most for most, _ in sizes} == {16, 64, 640}
    assert max(number for _, number in sizes) == 8
    assert sum(number for _, number in sizes) == len(lines(tmp_path))


def test_a_run_of_batches_that_was_cut_off_asks_only_what_is_left(tmp_path):
    rote = saying_by_rote()
    evaluate_playground(rote, tmp_path, pace=Pace(batch=16), **BLIND)
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:150]), encoding="utf-8")
    again = evaluate_playground(rote, tmp_path, pace=Pace(batch=16), **BLIND)
    assert rote.asked == 250
    assert again.values["parts"]["no_film"]["number"] == 200
    assert again.values["speed"]["asked"] == 50


@pytest.mark.slow
def test_other_processes_draw_the_films_of_what_is_asked(tmp_path, tiny_answerer):
    options = {**SMALL, "parts": (Part.LETTERED,), "drawing": Drawing.SEEN}
    evaluate_playground(tiny_answerer, tmp_path / "two", pace=Pace(workers=2), **options)
    evaluate_playground(tiny_answerer, tmp_path / "none", **options)
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "two" / "films").iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in (tmp_path / "none" / "films").iterdir()}
    assert {Path(name).suffix for name in drawn} == {".mp4"}


def test_frames_drawn_alone_are_those_that_the_model_takes_of_whole_films(tmp_path, films_folder, tiny_answerer):
    options = {**SMALL, "parts": (Part.LETTERED,)}
    evaluate_playground(tiny_answerer, tmp_path / "whole", films=films_folder, **options)
    seen = evaluate_playground(tiny_answerer, tmp_path / "seen", drawing=Drawing.SEEN, **options)
    assert "of the frames that the model takes" in seen.markdown()
    for whole, short in zip(lines(tmp_path / "whole"), lines(tmp_path / "seen"), strict=True):
        assert (whole["id"], whole["num_frames"]) == (short["id"], short["num_frames"])
        assert whole["interval_s"] == pytest.approx(short["interval_s"], abs=1e-4)


def test_who_does_not_tell_its_frames_needs_whole_films(tmp_path):
    with pytest.raises(OptionError, match="whole films"):
        evaluate_playground(saying_by_rote(), tmp_path, drawing=Drawing.SEEN, **SMALL)


@pytest.mark.parametrize(("wrong", "said"), [({"batch": 0}, "batch is 0"), ({"workers": -1}, "workers is -1")])
def test_an_impossible_pace_is_refused(wrong, said):
    with pytest.raises(OptionError, match=said):
        Pace(**wrong)


def test_the_difference_between_languages_has_an_interval_of_its_own(tmp_path):
    """Right in English alone, about every second film: the difference follows the films."""
    playground = make_playground(**BLIND)
    known = {one.question: one for one in playground.items}

    def reply(question, film):
        item = known[question]
        return item.expected if item.language == "en" or item.film % 2 else "?"

    values = evaluate_playground(Scripted(reply), tmp_path, **BLIND).values["parts"]["no_film"]
    own = values["english_less_chinese"]
    wrong = sum(line["score"] == 0 for line in lines(tmp_path))
    assert own["pairs"] == 100
    assert own["difference"] == pytest.approx(wrong / 100)
    assert own["difference"] == pytest.approx(values["languages"]["en"]["score"] - values["languages"]["zh"]["score"])
    assert 0 < own["interval"][0] < own["difference"] < own["interval"][1] < 1
    assert f"English less Chinese: +{wrong:.1f} points" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_when_counts_what_is_told_within_a_sampling_interval(tmp_path, films_folder):
    """An answer one second off is wrong, but on time where frames are a second apart."""
    playground = make_playground(**SMALL)
    timed = {one.question: one for one in playground.items if one.part is Part.OPEN and one.family == "when"}

    def reply(question, film):
        item = timed.get(question)
        return f"at {int(item.second_s) + (item.second_s % 1 < 0.5)} seconds" if item else "?"

    answerer = Scripted(reply)
    evaluate_playground(answerer, tmp_path, films=films_folder, parts=(Part.OPEN,), **SMALL)
    values, answers = read(tmp_path)["parts"]["open"], [line for line in lines(tmp_path) if line["family"] == "when"]
    assert len(answers) == values["within_interval"]["number"] == len(timed) > 0
    for line in answers:
        assert line["off_s"] == pytest.approx(abs(int(line["output"].split()[1]) - timed[line["question"]].second_s))
        assert not line["right"]
        assert 0.5 <= line["off_s"] <= 1
    # `Scripted` claims to have seen two frames, one at each end
    assert values["within_interval"]["score"] == 1
    assert values["score"] == 0
    assert "When, within one sampling interval" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("--style", "crayon", "fluent, noto"), ("--draw", "half", "whole, seen"), ("--parts", "sung", "lettered")],
)
def test_the_command_names_what_can_be_chosen(tmp_path, capsys, option, value, said):
    assert cli.run(["evaluate", "playground", "--out", str(tmp_path), option, value]) == 2
    complaint = capsys.readouterr().err
    assert value in complaint
    assert said in complaint
