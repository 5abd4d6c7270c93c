"""What cannot be asked is counted with its reason, and what can is asked, whatever else a data set holds."""

import json
from string import ascii_uppercase as LETTERS

import pytest
from answerers import Scripted
from layouts import ODD, table, write
from pyarrow import parquet
from running import questions, run

pytestmark = pytest.mark.usefixtures("measured_once")
MVBENCH, VIDEOVISTA, YES_NO = "json/action_sequence.json", "VideoVista.json", "yes_no/*.parquet"
CAPTIONING, NEEDLES = "captioning/*.parquet", "data/*.parquet"


def test_a_record_leads_to_no_file_outside_and_a_malformed_one_is_told(short_film, tmp_path):
    root = write("lvbench", tmp_path / "data", short_film)
    (tmp_path / "secret.mp4").write_bytes(short_film.read_bytes())
    asked = {"question": "<script>?\n(A) __import__('os')\n(B) {0.__class__}", "answer": "A", "question_type": ["x"]}
    hostile = [
        {"key": "../secret", "type": "x", "qa": [{"uid": "7", **asked}]},
        {"key": str(tmp_path / "secret"), "type": "x", "qa": [{"uid": "8", **asked}]},
        {"key": None, "type": None, "qa": [{"uid": None, "question": None, "answer": ["A"], "question_type": []}]},
        {"qa": [3]},
        ["no record"],
    ]
    with (root / "video_info.meta.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in hostile)
    values = run(Scripted(lambda text, film: "A", name="<b>rote</b>"), "lvbench", root, tmp_path / "out")
    assert values["failures"]["data"]["number"] == ODD["lvbench"] + len(hostile)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<b>rote" not in page


def appended(root, file, number=0, **changes):
    """Add to a file of JSON, or a table, a record as one that it holds, but for some fields."""
    (path,) = root.glob(file)
    if path.suffix == ".parquet":
        rows = parquet.read_table(path).to_pylist()
        table(path, [*rows, {**rows[number], **changes}])
    else:
        rows = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps([*rows, {**rows[number], **changes}]), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "file", "changes", "why"),
    [
        ("mvbench", MVBENCH, {"start": 2.0, "end": 0.5}, "the clip ends at 0.5 s, not after its start at 2 s"),
        ("mvbench", MVBENCH, {"start": -1}, "start_s is -1"),
        ("mvbench", MVBENCH, {"start": float("nan")}, "start_s is nan"),
        ("mvbench", MVBENCH, {"start": 10**400}, "OverflowError"),
        ("videovista", VIDEOVISTA, {"Answer_Choices": [str(place) for place in range(28)]}, "not 0 to 25, A to Z"),
        ("videovista", VIDEOVISTA, {"Answer": float("inf")}, "OverflowError"),
        ("videovista", VIDEOVISTA, {"Answer": 10**12}, "not 0 to 25, A to Z"),
        ("videovista", VIDEOVISTA, {"Answer": -1}, "not 0 to 25, A to Z"),
        ("videovista", VIDEOVISTA, {"Question": "\ud800?"}, "surrogates not allowed"),
        ("videovista", VIDEOVISTA, {"video_name": "\ud800.mp4"}, "surrogates not allowed"),
        ("videovista", VIDEOVISTA, {"Answer_Choices": "red,blue"}, "expected a list of words, found 'red,blue'"),
        ("videovista", VIDEOVISTA, {"Answer_Choices": ["red", " "]}, "an option is empty"),
        ("videovista", VIDEOVISTA, {"Answer_Choices": ["red", "red"]}, "another option has the same words"),
        ("longvideobench", "lvb_val.json", {"id": "new", "candidates": "red,blue"}, "expected a list of words"),
        ("tempcompass", YES_NO, {"answer": "purple"}, "'purple' is neither yes nor no"),
        ("tempcompass", CAPTIONING, {"mc_question": "How fast? slow or fast"}, "no options with 'A'"),
        ("tempcompass", CAPTIONING, {"mc_question": "How?\nA. slow"}, "no options with 'A'"),
        ("mlvu-generation", "json/9_summary.json", {"answer": " "}, "its answer is empty"),
        ("v-niah-said", NEEDLES, {"answer": " "}, "its answer is empty"),
        ("v-niah-said", NEEDLES, {"question": "\n".join(["Which?", *map("{}. x".format, LETTERS), "[."])}, "A to Z"),
    ],
)
def test_an_odd_record_is_counted_with_its_reason(name, file, changes, why, short_film, tmp_path):
    root = write(name, tmp_path / "data", short_film)
    appended(root, file, **({"question_id": 77} if name == "videovista" else {}), **changes)
    values = run(Scripted(lambda text, film: "A", name="rote"), name, root, tmp_path / "out")
    failures = values["failures"]["data"]
    assert failures["number"] == ODD[name] + (4 if name == "v-niah-said" else 1)  # a needle is in four cells
    assert any(why in one["why"] for one in failures["first"]), failures


def test_odd_lines_of_lvbench_and_seed_bench_are_counted(short_film, tmp_path):
    rote = Scripted(lambda text, film: "A", name="rote")
    lettered = "\n".join(["Which?", *(f"({letter}) {letter}" for letter in LETTERS), "([) more"])
    asked = {"uid": "9", "question": lettered, "answer": "A", "question_type": ["x"]}
    lvbench = write("lvbench", tmp_path / "lvbench", short_film)
    with (lvbench / "video_info.meta.jsonl").open("a", encoding="utf-8") as file:
        for every in (None, 3, [asked], [{**asked, "uid": "10", "question_type": "x"}]):
            file.write(json.dumps({"key": "x", "type": "y", "qa": every}) + "\n")
    assert run(rote, "lvbench", lvbench, tmp_path / "one")["failures"]["data"]["number"] == ODD["lvbench"] + 4
    seed = write("seed-bench-video", tmp_path / "seed", short_film)
    told = json.loads((seed / "SEED-Bench.json").read_text(encoding="utf-8"))
    told["questions"] += [3, {**told["questions"][1], "question_type_id": [10]}]
    (seed / "SEED-Bench.json").write_text(json.dumps(told), encoding="utf-8")
    values = run(rote, "seed-bench-video", seed, tmp_path / "two")
    assert values["failures"]["data"]["number"] == ODD["seed-bench-video"] + 1


def test_wrong_options_of_the_same_words_leave_a_question_that_can_be_scored(short_film, tmp_path):
    root = write("videovista", tmp_path / "data", short_film)
    appended(root, VIDEOVISTA, question_id=77, Answer_Choices=["red", "red", "blue"], Answer=2)
    assert not questions("videovista", root, tmp_path)[-1].fault


def test_a_record_with_anothers_id_never_takes_the_name_of_a_third(short_film, tmp_path):
    root = write("videovista", tmp_path / "data", short_film)
    for id in ("x", "x", "x#2", "x"):
        appended(root, VIDEOVISTA, question_id=id)
    found = questions("videovista", root, tmp_path)[-4:]
    assert [one.id for one in found] == ["x", "x#3", "x#2", "x#4"]
    assert [one.fault for one in found] == ["", "1 before it have its id", "", "2 before it have its id"]
