"""A judge is asked once for each thing, may fail, and is not needed again."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from answerers import Scripted
from running import fair, knowing, questions, read, run

from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.errors import EndpointError, OptionError
from kangaroo.evaluation.benchmark import Prompt, Rules
from kangaroo.evaluation.measure import Shard
from kangaroo.evaluation.referee import Referee
from kangaroo.evaluation.runs import compare, merge, rescore
from kangaroo.evaluation.table import BENCHMARKS

pytestmark = pytest.mark.usefixtures("measured_once")
JUDGED = pytest.mark.parametrize("name", ["mmbench-video", "mlvu-generation", "tempcompass"])


def test_a_judge_is_asked_once_for_each_thing(tmp_path):
    judge = Scripted(lambda text, film: f"about {text}", name="judge")
    prompts = [Prompt(text="one"), Prompt(text="two"), Prompt(text="one"), Prompt(text="one", system="strictly")]
    heard = Referee(tmp_path, judge).hear(prompts)
    assert heard[prompts[1]] == "about two"
    assert judge.asked == len(heard) == 3
    assert Referee(tmp_path, judge).hear([*prompts, Prompt(text="three")])[prompts[0]] == "about one"
    assert judge.asked == 4
    other = Scripted(lambda text, film: "no", name="another")
    assert Referee(tmp_path, other).hear(prompts)[prompts[0]] == "no"
    assert Referee(tmp_path).hear(prompts)[prompts[0]] == "no"  # the last one's word stands


def test_what_a_judge_does_not_manage_is_missing_and_asked_again(tmp_path):
    def busy(text, film):
        if judge.asked == 1:
            raise EndpointError("too busy (429)")
        return "fine"

    judge = Scripted(busy, name="judge")
    prompts = [Prompt(text="one"), Prompt(text="two")]
    referee = Referee(tmp_path, judge)
    assert len(referee.hear(prompts)) + referee.told()["without_reply"] == 2
    assert len(Referee(tmp_path, judge).hear(prompts)) == 2


@JUDGED
def test_without_a_judge_the_report_says_so_and_counts_what_it_left_out(name, published, tmp_path):
    asked = questions(name, published[name], tmp_path)
    values = run(knowing(name, asked), name, published[name], tmp_path / "out", judge=None)
    told = [one for one in asked if not one.fault and not one.options and one.task != "yes_no"]
    left_out = values["outcomes"]["unjudged"]
    assert 0 < left_out <= len(told)
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "**Rules only**" in text
    assert f"{left_out} answers need a judge and are left out" in text
    later = rescore(BENCHMARKS, tmp_path / "out", Rules.STRICT, Scripted(fair, name="fair")).values
    assert later["outcomes"]["judged"] == left_out
    assert (later["score"], later["outcomes"]["unjudged"]) == (1, 0)
    assert later["number"] == values["number"] + left_out


@JUDGED
def test_a_judge_that_says_nothing_of_use_gives_no_score(name, published, tmp_path):
    asked = questions(name, published[name], tmp_path)
    babbler = Scripted(lambda text, film: "7 of 9, or 2.5? As a judge I", name="babbler")
    values = run(knowing(name, asked), name, published[name], tmp_path / "out", judge=babbler)
    assert values["outcomes"]["judged"] == 0 < values["outcomes"]["unjudged"]


@JUDGED
def test_a_model_that_failed_is_not_judged_but_wrong_only_where_others_are_scored(name, published, tmp_path):
    def broken(text, film):
        raise EndpointError("too busy (429)")

    values = run(Scripted(broken, name="broken"), name, published[name], tmp_path / "judged")
    assert values["score"] == 0
    values = run(Scripted(broken, name="broken"), name, published[name], tmp_path / "unjudged", judge=None)
    assert (values["score"] is None) == (BENCHMARKS[name].points is not None)


def test_points_are_told_as_the_field_tells_them(published, tmp_path):
    two = Scripted(lambda text, film: "2", name="two")
    values = run(
        Scripted(lambda text, film: "red", name="rote"),
        "mmbench-video",
        published["mmbench-video"],
        tmp_path,
        judge=two,
    )
    assert values["score"] == pytest.approx(2 / 3)
    assert set(values["groups"]["half"]) == {"perception", "reasoning"}
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "2.00 of 3 points" in text
    assert "| Kangaroo 8B | 1.44 |" in text
    assert "| rote (this run) | 2.00 |" in text


def test_what_lmms_eval_cannot_read_it_has_judged(published, tmp_path):
    vague = Scripted(lambda text, film: "quick" if "How fast" in text else "yes", name="vague")
    lenient = Scripted(lambda text, film: "Correct" if "mark" in text else "A", name="lenient")
    values = run(vague, "tempcompass", published["tempcompass"], tmp_path, judge=lenient, rules=Rules.LMMS_EVAL)
    assert values["groups"]["task"]["multi-choice"]["score"] == 1
    strict = rescore(BENCHMARKS, tmp_path, Rules.STRICT).values
    assert strict["groups"]["task"]["multi-choice"]["score"] == 0
    assert values["strictly"]["score"] == strict["score"] < values["score"]
    assert values["strictly"]["differ"] > 0


def test_a_judges_marks_are_told_as_what_they_are(published, tmp_path):
    name = "mmbench-video"
    for points, kind in (("3", "right"), ("2", "in part"), ("0", "wrong")):
        judge = Scripted(lambda text, film, points=points: points, name="judge")
        run(Scripted(lambda text, film: "red", name="rote"), name, published[name], tmp_path / kind, judge=judge)
        page = (tmp_path / kind / "report.html").read_text(encoding="utf-8")
        assert f"<b>{kind}</b>: answered" in page
        assert "<b>unread</b>" not in page


def test_yes_and_no_are_counted_as_given_and_as_right(published, tmp_path):
    values = run(Scripted(lambda text, film: "yes", name="y"), "tempcompass", published["tempcompass"], tmp_path)
    assert values["right"]["yes"] + values["right"]["no"] == values["given"]["yes"]
    assert values["right"]["no"] > 0


def test_judgements_go_with_shards_and_into_comparisons(published, tmp_path):
    name = "mmbench-video"
    rote = Scripted(lambda text, film: "red", name="rote")
    whole = run(rote, name, published[name], tmp_path / "whole")
    for number in (1, 2):
        run(rote, name, published[name], tmp_path / str(number), shard=Shard(number=number, of=2))
    joined = merge(BENCHMARKS, [tmp_path / "1", tmp_path / "2"], tmp_path / "joined").values
    assert (joined["score"], joined["judge"]["name"]) == (whole["score"], "fair")
    assert compare(BENCHMARKS, tmp_path / "whole", tmp_path / "joined", Rules.STRICT)["difference"] == 0


def test_a_judge_where_there_is_nothing_to_judge_is_refused(published, tmp_path):
    judge = Scripted(fair, name="fair")
    with pytest.raises(OptionError, match="scored by rules alone"):
        run(judge, "mlvu", published["mlvu"], tmp_path, judge=judge)
    run(judge, "mlvu", published["mlvu"], tmp_path, limit=1)
    with pytest.raises(OptionError, match="scored by rules alone"):
        rescore(BENCHMARKS, tmp_path, Rules.STRICT, judge)


class Judge(BaseHTTPRequestHandler):
    """Gives two points, or refuses what is about 0."""

    def log_message(self, *_args):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert asked["messages"][0]["role"] == "system"
        refuses = "“0”" in json.dumps(asked, ensure_ascii=False)
        chunk = {"choices": [{"index": 0, "delta": {"content": "2"}, "finish_reason": "stop"}]}
        self.send_response(429 if refuses else 200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(b"{}" if refuses else f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n".encode())


def test_a_judge_behind_an_endpoint(published, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        judge = RemoteAnswerer(f"http://127.0.0.1:{server.server_port}/v1", "gpt")
        rote = Scripted(lambda text, film: "red", name="rote")
        values = run(rote, "mmbench-video", published["mmbench-video"], tmp_path, judge=judge)
    finally:
        server.shutdown()
        server.server_close()
    assert values["outcomes"]["judged"] == 2
    assert (values["outcomes"]["unjudged"], values["judge"]["without_reply"]) == (1, 1)
    assert "1 prompts without a reply" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert read(tmp_path)["score"] == pytest.approx(2 / 3)
