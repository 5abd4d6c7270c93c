"""One suite over all benchmarks, on data sets in their authors' own layout."""

import json
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from answerers import Scripted
from layouts import ODD, copied, write
from running import knowing, questions, read, run

from kangaroo import cli
from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.cli.benchmarking import SUMMARIES
from kangaroo.errors import EndpointError, OptionError
from kangaroo.evaluation.asking import Pace
from kangaroo.evaluation.benchmark import Outcome, Rules, Way
from kangaroo.evaluation.measure import Shard, Shown
from kangaroo.evaluation.runs import compare, merge, rescore
from kangaroo.evaluation.table import BENCHMARKS
from kangaroo.video.sampler import FrameSampler

ALL = pytest.mark.parametrize("name", BENCHMARKS)
HIDDEN = {"egoschema-full", "longvideobench-test"}
pytestmark = pytest.mark.usefixtures("measured_once")
SCORED = pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in HIDDEN])


@ALL
@pytest.mark.parametrize("rules", Rules)
def test_who_knows_is_right_throughout_and_what_cannot_be_asked_is_told(name, rules, published, tmp_path):
    asked = questions(name, published[name], tmp_path)
    values = run(knowing(name, asked), name, published[name], tmp_path / "out", rules=rules)
    failures = values["failures"]
    assert failures["model"]["number"] == 0
    assert failures["data"]["number"] == ODD[name], failures
    assert all(one["why"] for one in failures["data"]["first"])
    assert values["questions"] == len(asked)
    unscored = values["outcomes"]["unjudged"] + values["outcomes"]["hidden"]
    assert values["number"] == len(asked) - ODD[name] - unscored
    if name in HIDDEN:
        assert values["score"] is None
        assert len(read(tmp_path / "out", "submission.json")) == len(asked)
    else:
        assert values["score"] == 1, values["groups"]
        assert 0 < values["interval"][0] < 1
    for kind in ("md", "html"):
        text = (tmp_path / "out" / f"report.{kind}").read_text(encoding="utf-8")
        assert f"{values['number']:,} of {len(asked):,} questions" in text


@SCORED
def test_an_answer_that_says_nothing_is_wrong_and_counted(name, published, tmp_path):
    mute = Scripted(lambda text, film: "?!", name="mute")
    values = run(mute, name, published[name], tmp_path)
    if BENCHMARKS[name].way is Way.RANK:  # one option is always likeliest
        assert values["outcomes"]["read"] == values["number"]
        return
    assert values["score"] == 0 or BENCHMARKS[name].points is not None
    if BENCHMARKS[name].way is Way.SAY and BENCHMARKS[name].points is None:
        assert values["outcomes"]["unread"] == values["number"] > 0
    assert values["given"] == {}


@SCORED
def test_other_rules_score_what_was_answered_and_call_no_model(name, published, tmp_path):
    rote = Scripted(lambda text, film: ("A", "B.", "(C)", "", "I cannot tell", "yes")[len(text) % 6], name="rote")
    first = run(rote, name, published[name], tmp_path)
    asked = rote.asked
    for rules in Rules:
        again = rescore(BENCHMARKS, tmp_path, rules).values
        assert (again["about"], again["rules"]) == (first["about"], rules)
    assert rote.asked == asked
    strict = read(tmp_path)
    assert {key: strict[key] for key in ("score", "groups", "outcomes", "failures")} == {
        key: json.loads(json.dumps(first[key])) for key in ("score", "groups", "outcomes", "failures")
    }
    assert (tmp_path / "report-lmms-eval.md").exists()


@ALL
def test_a_run_that_was_cut_off_ends_as_an_unbroken_one(name, published, tmp_path):
    rote = Scripted(lambda text, film: "ABC"[len(text) % 3], name="rote")
    whole = run(rote, name, published[name], tmp_path / "whole")
    number = rote.asked

    class Killed(BaseException):
        pass

    def die(text, film):
        if broken.asked > 1:
            raise Killed
        return rote.reply(text, film)

    broken = Scripted(die, name="rote")
    with pytest.raises(Killed):
        run(broken, name, published[name], tmp_path / "cut")
    again = run(rote, name, published[name], tmp_path / "cut")
    # what failed before is tried again too
    assert rote.asked <= number + number
    assert {key: again[key] for key in ("score", "groups", "failures")} == {
        key: whole[key] for key in ("score", "groups", "failures")
    }
    answered = [json.loads(line) for line in (tmp_path / "cut" / "answers.jsonl").read_text("utf-8").splitlines()]
    outputs = [line["id"] for line in answered if line["failure"] is None]
    assert len(outputs) == len(set(outputs))


@ALL
def test_shards_join_to_the_whole(name, published, tmp_path):
    rote = Scripted(lambda text, film: "ABC"[len(text) % 3], name="rote")
    whole = run(rote, name, published[name], tmp_path / "whole")
    folders = []
    for number in (2, 1):
        folders.append(tmp_path / str(number))
        run(rote, name, published[name], folders[-1], shard=Shard(number=number, of=2))
    joined = merge(BENCHMARKS, folders, tmp_path / "joined").values
    for key in ("score", "number", "questions", "groups", "outcomes", "failures", "given"):
        assert joined[key] == json.loads(json.dumps(whole[key])) or joined[key] == whole[key], key
    with pytest.raises(OptionError, match="each of them once"):
        merge(BENCHMARKS, folders[:1], tmp_path / "half")


@ALL
def test_every_way_to_ask_holds_the_question_and_each_option(name, published, tmp_path):
    benchmark = BENCHMARKS[name]
    for question in questions(name, published[name], tmp_path):
        for rules in () if question.fault else Rules:
            prompt = benchmark.prompt(question, "", rules)
            assert question.question.split("\n")[0] in prompt.text
            assert all((option in prompt.text) == (benchmark.way is Way.SAY) for option in question.options)
            assert "N/A" not in prompt.text


@ALL
def test_a_folder_without_the_data_is_told_where_they_come_from(name, tmp_path):
    with pytest.raises(OptionError, match=r"has no .+ come from https://"):
        questions(name, tmp_path, tmp_path)
    with pytest.raises(OptionError, match=r"no folder; download https://"):
        questions(name, tmp_path / "nowhere", tmp_path)


@SCORED
def test_what_the_model_does_not_manage_is_wrong_and_asked_again_next_time(name, published, tmp_path):
    asked = questions(name, published[name], tmp_path)
    answerer = knowing(name, asked)
    right = answerer.reply

    def busy(text, film):
        if answerer.asked % 2:
            raise EndpointError("too busy (429)")
        return right(text, film)

    answerer.reply = busy
    values = run(answerer, name, published[name], tmp_path / "out")
    failed = values["failures"]["model"]["number"]
    assert failed > 0
    assert values["number"] == len(asked) - ODD[name] - values["outcomes"]["unjudged"] or name == "tempcompass"
    assert values["score"] < 1
    assert "429" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    answerer.reply = right
    again = run(answerer, name, published[name], tmp_path / "out")
    assert again["failures"]["model"]["number"] == 0
    assert again["score"] == 1


@SCORED
def test_many_at_once_get_the_answers_of_one_by_one(name, published, tmp_path):
    rote = Scripted(lambda text, film: "ABC"[len(text) % 3], name="rote")
    single = run(rote, name, published[name], tmp_path / "single")
    batched = run(rote, name, published[name], tmp_path / "batched", pace=Pace(batch=4))
    for key in ("score", "groups", "outcomes", "failures"):
        assert batched[key] == single[key]


def test_two_runs_are_compared_question_by_question(published, tmp_path):
    name = "mvbench"
    asked = questions(name, published[name], tmp_path)
    rote = Scripted(lambda text, film: "A", name="rote")
    run(rote, name, published[name], tmp_path / "rote")
    run(knowing(name, asked), name, published[name], tmp_path / "knowing")
    found = compare(BENCHMARKS, tmp_path / "rote", tmp_path / "knowing", Rules.STRICT)
    assert found["scores"][1] == 1
    assert found["difference"] == pytest.approx(1 - found["scores"][0])
    assert found["interval"][0] > 0
    assert found["only_first_right"] == 0
    run(rote, "mlvu", published["mlvu"], tmp_path / "other", limit=1)
    with pytest.raises(OptionError, match="give two of one"):
        compare(BENCHMARKS, tmp_path / "rote", tmp_path / "other", Rules.STRICT)


def test_subtitles_stand_in_the_prompt_where_there_are_any(published, tmp_path):
    seen = []
    answerer = Scripted(lambda text, film: seen.append(text) or "A", name="rote")
    run(answerer, "video-mme-subtitles", published["video-mme-subtitles"], tmp_path / "strict")
    assert sum("[0.0-9.0] said of all" in text for text in seen) == 2
    seen.clear()
    options = {"rules": Rules.LMMS_EVAL}
    run(answerer, "video-mme-subtitles", published["video-mme-subtitles"], tmp_path / "theirs", **options)
    assert sum("below: \nsaid of all\nSelect" in text for text in seen) == 2
    assert sum("No subtitles available" in text for text in seen) == 4


def test_clips_are_those_of_the_records_in_seconds(published, tmp_path):
    clips = {
        one.id: (one.start_s, one.end_s)
        for one in questions("seed-bench-video", published["seed-bench-video"], tmp_path)
    }
    assert clips["v1"] == (None, None)
    assert clips["v2"] == (0.5, 2.0)
    assert clips["v3"] == (0.2, 2.0)  # of frames, 15 a second


def test_a_question_of_several_types_counts_in_each(published, tmp_path):
    values = run(Scripted(lambda text, film: "A", name="rote"), "lvbench", published["lvbench"], tmp_path)
    assert values["number"] == 2
    assert {kind: own["number"] for kind, own in values["groups"]["type"].items()} == {
        "key information retrieval": 1,
        "reasoning": 1,
        "summarization": 1,
    }


def test_the_rules_differ_where_they_are_known_to(published, tmp_path):
    """Random picks, dropped empties, and "A" the article: ours takes part in none."""

    def scores(name, answer):
        out = tmp_path / f"{name} {answer[:5]}"
        run(Scripted(lambda text, film: answer, name="same"), name, published[name], out)
        return {rules: rescore(BENCHMARKS, out, rules).values for rules in Rules}

    guessed = scores("egoschema", "no idea")
    assert guessed[Rules.STRICT]["score"] == 0
    assert guessed[Rules.LMMS_EVAL]["score"] == pytest.approx(1 / 5)
    assert guessed[Rules.LMMS_EVAL]["outcomes"]["guessed"] == 5
    empty = scores("mvbench", "")
    assert empty[Rules.STRICT]["number"] == 20
    assert (empty[Rules.LMMS_EVAL]["number"], empty[Rules.LMMS_EVAL]["outcomes"]["dropped"]) == (0, 20)
    assert empty[Rules.LMMS_EVAL]["strictly"]["differ"] == 20
    article = scores("video-mme", "A man, so the best option is B")
    assert article[Rules.STRICT]["given"] == {"B": 6}
    told = (tmp_path / "video-mme A man" / "report-vlmevalkit.md").read_text(encoding="utf-8")
    assert "By our strict rules 4 of these answers count otherwise, and the score is 33.3 %." in told
    assert article[Rules.LMMS_EVAL]["given"] == article[Rules.VLMEVALKIT]["given"] == {"A": 6}


def test_scoring_again_leaves_a_run_that_is_still_being_written_alone(published, tmp_path):
    run(Scripted(lambda text, film: "红", name="rote"), "mlvu", published["mlvu"], tmp_path)
    path = tmp_path / "answers.jsonl"
    half = path.read_bytes()[: path.read_bytes().rfind("红".encode()) + 1]  # in the middle of a character
    path.write_bytes(half)
    again = rescore(BENCHMARKS, tmp_path, Rules.STRICT).values
    assert path.read_bytes() == half
    rote = Scripted(lambda text, film: "红", name="rote")
    whole = run(rote, "mlvu", published["mlvu"], tmp_path)
    assert whole["questions"] == again["questions"] + 1
    assert path.read_bytes().decode().endswith("}\n")


def test_the_published_table_has_this_run_as_a_row(published, tmp_path):
    run(Scripted(lambda text, film: "A", name="rote"), "video-mme", published["video-mme"], tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "| model | short | medium | long | overall |" in text
    assert "| Kangaroo 8B, 64 frames | 66.1 | 55.3 | 46.7 | 56.0 |" in text
    assert "| rote (this run) |" in text


def test_the_page_shows_frames_of_what_was_asked(published, tmp_path):
    run(Scripted(lambda text, film: "A", name="rote"), "mlvu", published["mlvu"], tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("data:image/jpeg;base64,") >= 4


def test_without_the_film_it_is_told_that_nothing_was_shown(published, tmp_path):
    shown = []
    rote = Scripted(lambda text, film: shown.append(film) or "A", name="rote")
    values = run(rote, "video-mme-subtitles", published["video-mme-subtitles"], tmp_path / "blind", shown=Shown.NOTHING)
    assert set(shown) == {None}
    assert values["number"] == 8  # a missing film is not missed
    assert "**The film was not shown**" in (tmp_path / "blind" / "report.md").read_text(encoding="utf-8")
    run(rote, "video-mme-subtitles", published["video-mme-subtitles"], tmp_path / "seeing")
    found = compare(BENCHMARKS, tmp_path / "blind", tmp_path / "seeing", Rules.STRICT)
    assert found["models"] == ["rote without the film", "rote"]


def test_what_is_submitted_is_what_each_server_takes(published, tmp_path):
    rote = Scripted(lambda text, film: "B", name="rote")
    for name in ("egoschema-full", "longvideobench-test", "mvbench"):
        run(rote, name, published[name], tmp_path / name)
    assert read(tmp_path / "egoschema-full", "submission.json")["001-uuid"] == 1
    assert read(tmp_path / "egoschema-full", "submission.json")["005-uuid"] == -1  # its film is missing
    letters = read(tmp_path / "longvideobench-test", "submission.json")
    assert letters == {**dict.fromkeys([f"v{number}_0" for number in range(5)], "B"), "v5_0": ""}
    tasks = read(tmp_path / "mvbench", "submission.json")
    scored = read(tmp_path / "mvbench")["groups"]["task"]
    assert len(tasks) == 21
    assert all(
        tasks[name.replace("_", " ").title()] == 100 * own["score"]
        for name, own in scored.items()
        if own["number"] == 1
    )


def test_another_run_is_not_mixed_in(published, tmp_path):
    rote = Scripted(lambda text, film: "A", name="rote")
    run(rote, "mlvu", published["mlvu"], tmp_path, limit=3)
    for other in ({"rules": Rules.LMMS_EVAL, "limit": 3}, {"limit": 4}, {"limit": 3, "shard": Shard(number=1, of=2)}):
        with pytest.raises(OptionError, match="another folder"):
            run(rote, "mlvu", published["mlvu"], tmp_path, **other)
    assert len(read(tmp_path)["groups"]["task"]) == 1


def test_the_command_line_knows_every_benchmark():
    assert list(SUMMARIES) == list(BENCHMARKS)
    assert all(name == one.name for name, one in BENCHMARKS.items())
    assert set(Outcome) == {"read", "unread", "guessed", "dropped", "judged", "unjudged", "hidden"}


class Moody(BaseHTTPRequestHandler):
    """Refuses, breaks off, keeps silent and answers by turns of the question."""

    def log_message(self, *_args):
        pass

    def do_POST(self):
        asked = self.rfile.read(int(self.headers["content-length"])).decode()
        mood = next(place for place in range(4) if f"plotQA {place}:" in asked)
        if mood == 1:
            time.sleep(1.5)
        chunk = {"choices": [{"index": 0, "delta": {"content": "(C)"}, "finish_reason": "stop"}]}
        with suppress(ConnectionError):  # who waited too long has left
            self.send_response(429 if mood == 0 else 200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(b"<html>\n\n" if mood == 2 else f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())


def test_an_endpoint_that_refuses_breaks_off_or_keeps_silent_does_not_end_the_run(short_film, tmp_path):
    root = write("mlvu", tmp_path / "data", short_film)
    for number in (2, 3):  # here all films are whole
        copied(short_film, root / "MLVU" / "video" / "1_plotQA" / f"plotQA_{number}.mp4")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        answerer = RemoteAnswerer(url, "moody", timeout_s=0.5, frame_sampler=FrameSampler(num_frames=2))
        values = run(answerer, "mlvu", root, tmp_path / "out", limit=4)
    finally:
        server.shutdown()
        server.server_close()
    assert values["failures"]["model"]["number"] == 3
    said = " ".join(one["why"] for one in values["failures"]["model"]["first"])
    assert all(words in said for words in ("too busy", "in time", "no chat completion"))
    assert (values["number"], values["score"]) == (4, 0)
    assert values["given"] == {"C": 1}


@pytest.mark.slow
def test_a_model_of_the_house_is_measured_from_the_command_line(published, tmp_path, capsys):
    data, out = str(published["longvideobench"]), str(tmp_path / "out")
    command = ["evaluate", "longvideobench", "--data", data, "--out", out, "--limit", "1", "--device", "cpu"]
    assert cli.run(command) == 0
    assert "1 of 1 questions" in capsys.readouterr().out
    assert cli.run(["evaluate", "score", out, "--rules", "vlmevalkit"]) == 0
    assert cli.run(["evaluate", "compare", out, out]) == 0
    assert "difference +0.0 points" in capsys.readouterr().out
    for wrong in (["--rules", "mine"], ["--shard", "3/2"], ["--shard", "x"], ["--limit", "0"]):
        assert cli.run([*command, *wrong]) == 2
