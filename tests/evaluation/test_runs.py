"""What is done with runs as folders: unfinished ones are told, and only what belongs together is joined."""

import json
import logging
import shutil

import pyarrow
import pytest
from answerers import Scripted
from layouts import write
from pyarrow import parquet
from running import questions, read, run

from kangaroo import cli
from kangaroo.alone import alone_in
from kangaroo.chat.answerer import Likelihood
from kangaroo.errors import EndpointError, OptionError
from kangaroo.evaluation.batch import answer_questions
from kangaroo.evaluation.benchmark import Rules
from kangaroo.evaluation.measure import Shard
from kangaroo.evaluation.runs import compare, merge, rescore
from kangaroo.evaluation.table import BENCHMARKS

pytestmark = pytest.mark.usefixtures("measured_once")


def saying(text):
    return Scripted(lambda question, film: text, name="rote")


def killed_after(number):
    class Killed(BaseException):
        pass

    def reply(question, film):
        if answerer.asked > number:
            raise Killed
        return "A"

    answerer = Scripted(reply, name="rote")
    return answerer, Killed


def test_a_run_that_was_cut_off_says_how_much_is_left(published, tmp_path, caplog):
    total = len(questions("mlvu", published["mlvu"], tmp_path))
    dying, killed = killed_after(3)
    with pytest.raises(killed):
        run(dying, "mlvu", published["mlvu"], tmp_path / "cut")
    report = rescore(BENCHMARKS, tmp_path / "cut", Rules.STRICT)
    left = report.values["unasked"]
    assert 0 < left == total - report.values["questions"]
    assert f"**{left} questions were not asked yet**" in report.markdown()
    whole = run(saying("A"), "mlvu", published["mlvu"], tmp_path / "cut")
    assert (whole["unasked"], whole["questions"]) == (0, total)
    assert "not asked yet" not in (tmp_path / "cut" / "report.md").read_text(encoding="utf-8")

    dying, killed = killed_after(2)
    with pytest.raises(killed):
        run(dying, "mlvu", published["mlvu"], tmp_path / "1", shard=Shard(number=1, of=2))
    run(saying("A"), "mlvu", published["mlvu"], tmp_path / "2", shard=Shard(number=2, of=2))
    with caplog.at_level(logging.WARNING):
        joined = merge(BENCHMARKS, [tmp_path / "1", tmp_path / "2"], tmp_path / "joined")
    assert f"{tmp_path / '1'} is unfinished: {joined.values['unasked']} of its" in caplog.text
    assert str(tmp_path / "2") not in caplog.text
    assert "were not asked yet" in joined.markdown()


def test_shards_of_other_weights_are_not_joined(published, tmp_path):
    for number in (1, 2):
        answerer = saying("A")
        answerer.score = lambda conversation, continuations, number=number: [
            Likelihood(nats=-10.0 * number, num_tokens=1, is_greedy=False) for _ in continuations
        ]
        run(answerer, "mlvu", published["mlvu"], tmp_path / str(number), shard=Shard(number=number, of=2))
    with pytest.raises(OptionError, match="differ in likelihoods"):
        merge(BENCHMARKS, [tmp_path / "1", tmp_path / "2"], tmp_path / "joined")


def test_questions_that_share_an_id_alone_are_not_compared(published, short_film, tmp_path, capsys):
    """MLVU's ids are positions."""
    run(saying("A"), "mlvu", published["mlvu"], tmp_path / "ours")
    for name, files in (("one", "1_plotQA.json"), ("all", "*.json")):
        root = write("mlvu", tmp_path / f"data {name}", short_film)
        for path in (root / "MLVU" / "json").glob(files):
            rows = json.loads(path.read_text(encoding="utf-8"))
            changed = [{**row, "question": f"Otherwise: {row['question']}"} for row in rows]
            path.write_text(json.dumps(changed), encoding="utf-8")
        run(saying("A"), "mlvu", root, tmp_path / name)
    number = read(tmp_path / "ours")["number"]
    found = compare(BENCHMARKS, tmp_path / "ours", tmp_path / "one", Rules.STRICT)
    assert 0 < found["unlike"] == number - found["number"]
    assert found["only_in_one"] == 0
    assert cli.run(["evaluate", "compare", str(tmp_path / "ours"), str(tmp_path / "one")]) == 0
    assert f"{found['unlike']} of one id that ask different things" in capsys.readouterr().out
    with pytest.raises(OptionError, match=f"in common: {number} have the same id"):
        compare(BENCHMARKS, tmp_path / "ours", tmp_path / "all", Rules.STRICT)


def test_answers_to_a_file_of_questions_are_no_run_to_compare(tmp_path):
    (tmp_path / "questions.jsonl").write_text('{"video": null, "question": "Who?"}\n', encoding="utf-8")
    answer_questions(saying("I"), tmp_path / "questions.jsonl", tmp_path / "out")
    with pytest.raises(OptionError, match="holds no run of a benchmark"):
        compare(BENCHMARKS, tmp_path / "out.run", tmp_path / "out.run", Rules.STRICT)


def test_what_is_submitted_stays_when_other_rules_score(published, tmp_path):
    article = saying("A man does it; the option is B.")
    run(article, "egoschema-full", published["egoschema-full"], tmp_path)
    before = read(tmp_path, "submission.json")
    assert before["000-uuid"] == 1
    rescore(BENCHMARKS, tmp_path, Rules.VLMEVALKIT)
    assert read(tmp_path, "submission.json") == before
    assert read(tmp_path, "submission-vlmevalkit.json")["000-uuid"] == 0


def test_a_record_that_comes_twice_or_says_nothing_changes_no_submission(published, short_film, tmp_path):
    root = write("egoschema-full", tmp_path / "data", short_film)
    (table,) = (root / "MC").glob("*.parquet")
    rows = parquet.read_table(table).to_pylist()
    parquet.write_table(pyarrow.Table.from_pylist([*rows, rows[1], {**rows[2], "question": None}]), table)
    values = run(saying("B"), "egoschema-full", root, tmp_path / "odd")
    assert values["failures"]["data"]["number"] == 3
    run(saying("B"), "egoschema-full", published["egoschema-full"], tmp_path / "good")
    assert read(tmp_path / "odd", "submission.json") == read(tmp_path / "good", "submission.json")


def test_pictures_stay_when_a_run_is_scored_again_or_joined(published, tmp_path):
    def pictures(folder):
        return (folder / "report.html").read_text(encoding="utf-8").count("data:image/jpeg;base64,")

    for number in (1, 2):
        folder = tmp_path / str(number)
        run(saying("A"), "mlvu", published["mlvu"], folder, shard=Shard(number=number, of=2))
        before = pictures(folder)
        rescore(BENCHMARKS, folder, Rules.STRICT)
        assert pictures(folder) == before > 0
    merge(BENCHMARKS, [tmp_path / "1", tmp_path / "2"], tmp_path / "joined")
    assert pictures(tmp_path / "joined") > 0


def test_one_process_at_a_time_writes_into_a_run(published, tmp_path, monkeypatch):
    run(saying("A"), "mmbench-video", published["mmbench-video"], tmp_path / "out", judge=None)
    answerer = saying("A")
    with alone_in(tmp_path / "out"):
        with pytest.raises(OptionError, match="another process writes into"):
            run(answerer, "mmbench-video", published["mmbench-video"], tmp_path / "out")
        with pytest.raises(OptionError, match="another process writes into"):
            rescore(BENCHMARKS, tmp_path / "out", Rules.STRICT, saying("3"))
        rescore(BENCHMARKS, tmp_path / "out", Rules.STRICT)  # looking on is no writing
    assert answerer.asked == 0
    (tmp_path / "questions.jsonl").write_text('{"video": null, "question": "Who?"}\n', encoding="utf-8")
    with alone_in(tmp_path / "answers.run"), pytest.raises(OptionError, match="another process writes into"):
        answer_questions(answerer, tmp_path / "questions.jsonl", tmp_path / "answers")


def test_a_failure_never_takes_an_answers_place(published, tmp_path):
    before = run(saying("A"), "mlvu", published["mlvu"], tmp_path)
    path = tmp_path / "answers.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    answered = next(line for line in lines if line["failure"] is None)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**answered, "output": "", "failure": "too busy (429)", "blame": "model"}) + "\n")
    again = rescore(BENCHMARKS, tmp_path, Rules.STRICT).values
    assert (again["score"], again["failures"]) == (before["score"], json.loads(json.dumps(before["failures"])))


def test_half_a_surrogate_pair_is_kept_and_shown(published, tmp_path):
    values = run(saying("(A) \ud83d"), "mlvu", published["mlvu"], tmp_path)
    assert values["failures"]["model"]["number"] == 0
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["output"] for line in lines if line["failure"] is None} == {"(A) \ud83d"}
    assert rescore(BENCHMARKS, tmp_path, Rules.STRICT).values["score"] == values["score"]


def test_what_a_data_set_calls_things_is_shown_short_and_harmless(short_film, tmp_path, caplog):
    root = write("lvbench", tmp_path / "data", short_film)
    asked = {"question": "Q?\n(A) x\n(B) y", "answer": "A", "question_type": ["x"]}
    names = ("evil\x1b]0;owned\x07\n\n# Score: 99 %\n\n<img src=x>|", "L" * 30_000)
    with (root / "video_info.meta.jsonl").open("a", encoding="utf-8") as file:
        for number, name in enumerate(names):
            row = {"key": name, "type": "y", "qa": [{"uid": f"odd {number}", **asked}]}
            file.write(json.dumps(row) + "\n")
    with caplog.at_level(logging.WARNING):
        run(saying("A"), "lvbench", root, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| evil]0;owned # Score: 99 % \\<img src=x>\\| |" in text
    for shown in (text, caplog.text):
        assert "\x1b" not in shown
        assert "\n# Score" not in shown
        assert "L" * 150 in shown
        assert "L" * 201 not in shown
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "\x1b" not in page
    assert "L" * 201 not in page


def command(name, data, out, *more):
    return ["evaluate", name, "--data", str(data), "--out", str(out), *more]


@pytest.fixture
def no_model(monkeypatch):
    """No model can be loaded: whoever tries fails the test."""
    monkeypatch.setattr("kangaroo.chat.load.load", lambda *_args, **_options: 1 / 0)


def test_mistakes_are_told_before_a_model_is_loaded(published, tmp_path, no_model, capsys):
    (tmp_path / "film.mp4").touch()
    niah, needles = published["v-niah"], ["--haystack", str(published["v-niah"] / "hay.mp4")]
    remote = ["--endpoint", "http://127.0.0.1:9", "--device", "cuda"]
    for arguments, said in (
        (command("mvbench", tmp_path / "nowhere", tmp_path / "out"), "nowhere is no folder; download https://"),
        (command("mlvu", published["mlvu"], tmp_path / "film.mp4"), "film.mp4 is, or lies in, a file"),
        (["evaluate", "playground", "--out", str(tmp_path / "film.mp4" / "out")], "is, or lies in, a file"),
        (["evaluate", "needle", "--out", str(tmp_path / "film.mp4")], "film.mp4 is, or lies in, a file"),
        (["evaluate", "playground", "--out", str(tmp_path / "out"), *remote], "leave one out"),
        (["evaluate", "needle", "--out", str(tmp_path / "out"), *remote], "leave one out"),
        (command("v-niah", niah, tmp_path / "out", *needles, "--frames", "nan"), "give whole numbers with commas"),
        (command("v-niah", niah, tmp_path / "out", *needles, "--frames", "2.7"), "--frames is '2.7'"),
        (command("v-niah", niah, tmp_path / "out", *needles, "--depths", "x"), "give numbers with commas"),
    ):
        assert cli.run(arguments) == 2
        complaint = capsys.readouterr().err
        assert said in complaint
        assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("reply", "films", "status"),
    [("B", True, 0), (EndpointError("nobody listens"), True, 1), ("B", False, 1)],
    ids=["answered", "the server failed", "no film is there"],
)
def test_the_command_leaves_with_one_where_answers_are_lacking(
    reply, films, status, short_film, tmp_path, monkeypatch, capsys
):
    def say(question, film):
        if isinstance(reply, Exception):
            raise reply
        return reply

    root = write("mlvu", tmp_path / "data", short_film)
    if not films:
        shutil.rmtree(root / "MLVU" / "video")
    monkeypatch.setattr("kangaroo.cli.benchmarking.answerer_of", lambda *_: Scripted(say, name="rote"))
    assert cli.run(command("mlvu", root, tmp_path / "out")) == status
    assert "of 16 questions" in capsys.readouterr().out
