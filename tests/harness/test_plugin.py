"""lmms-eval itself finds our plug-in and gets from joey what our own runner gets: `make test-harness`.

The commands are those of docs/guide/lmms-eval.md, typed in a folder of their own, without hub and network.
"""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from kangaroo.errors import OptionError
from kangaroo.video.sampler import FrameSampler

pytestmark = pytest.mark.harness

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def plugin():
    from kangaroo.evaluation import lmms_eval_model

    return lmms_eval_model


def commands():
    page = (ROOT / "docs" / "guide" / "lmms-eval.md").read_text(encoding="utf-8")
    return re.findall(r"^```bash\n(.*?)^```$", page.partition("## A task without the hub")[2], re.M | re.S)


def test_lmms_eval_finds_the_class_under_the_name_that_the_guide_says(plugin):
    from lmms_eval.models import get_model

    assert "kangaroo" in {one.name for one in entry_points(group="lmms_eval.models")}
    assert get_model("kangaroo") is plugin.LmmsEvalModel


@pytest.mark.timeout(1200)
def test_a_local_task_gets_the_predictions_of_our_own_runner(plugin, tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub"), "LANG": "C.UTF-8"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ours = "kangaroo evaluate playground --out out/ours --questions 20 --seed 26 --parts lettered --draw seen"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([*commands(), f"{ours} --films out/task/films"])],
        cwd=tmp_path,
        env={**os.environ, **offline, "PATH": path, "HOME": str(tmp_path)},
        check=True,
    )
    (samples,) = (tmp_path / "out" / "theirs").rglob("*_samples_kangaroo_playground.jsonl")
    questions = lines(tmp_path / "out" / "task" / "questions.jsonl")
    theirs = {questions[one["doc_id"]]["id"]: one for one in lines(samples)}
    answered = {one["id"]: one for one in lines(tmp_path / "out" / "ours" / "answers.jsonl")}
    assert len(theirs) == 20
    assert {name: one["filtered_resps"] for name, one in theirs.items()} == {
        name: one["output"] for name, one in answered.items()
    }
    assert [theirs[name]["right"] for name in answered] == [one["score"] for one in answered.values()]


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_tasks_settings_are_taken_or_refused_but_never_dropped(plugin):
    greedy = {
        "max_new_tokens": 16,
        "temperature": 0,
        "top_p": 1.0,
        "num_beams": 1,
        "do_sample": False,
        "until": ["\n\n"],
    }
    sampling = plugin.sampling_of(greedy)
    assert (sampling.max_new_tokens, sampling.temperature, sampling.stop) == (16, 0.0, ("\n\n",))
    assert plugin.sampling_of({"temperature": 0.7, "top_p": 0.9, "do_sample": True}).temperature == 0.7
    assert plugin.sampling_of({"temperature": 0.7, "do_sample": False}).temperature == 0.0
    for name, value in (("num_beams", 4), ("diversity", 1)):
        with pytest.raises(OptionError, match=name):
            plugin.sampling_of({name: value})


def test_messages_become_a_conversation_with_clips_and_pictures(plugin, tmp_path):
    from PIL import Image

    asked = [
        {"type": "image", "url": Image.new("RGB", (8, 8))},
        {"type": "video", "url": "a.mp4", "start_time": 1.0, "end_time": 2.0},
        {"type": "video", "url": {"path": "b.mp4", "video_start": 3.0, "video_end": 4.0}},
        {"type": "text", "text": "Which?"},
    ]
    messages = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": asked},
    ]
    found = plugin.conversation_of(messages, FrameSampler(fps=2.0))
    assert [turn.text for turn in found.turns] == ["Be brief.", "Which?"]
    _, first, second = found.videos
    assert first.sampler == FrameSampler(fps=2.0, start_s=1.0, end_s=2.0)
    assert (second.source.value, second.sampler.start_s) == ("b.mp4", 3.0)
    with pytest.raises(OptionError, match="audio"):
        plugin.conversation_of([{"role": "user", "content": [{"type": "audio", "url": "a.wav"}]}], FrameSampler())


def test_impossible_arguments_are_refused_before_anything_loads(plugin):
    with pytest.raises(OptionError, match="auto"):
        plugin.LmmsEvalModel(batch_size="auto")
