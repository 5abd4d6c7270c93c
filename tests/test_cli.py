"""The command line says beforehand what it will do, prints what scripts can read, and tells mistakes in one line."""

import json
import shlex
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from kangaroo.chat.pictures import encode_jpeg
from kangaroo.cli import run
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny
from kangaroo.video.write import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_processor):
    """A tiny network with random weights; its answers end by length."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    torch.manual_seed(0)
    KangarooForConditionalGeneration(tiny(vocab_size=len(tiny_processor.tokenizer))).save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Ten seconds, four frames a second."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 48, 64, 3), dtype=np.uint8)
    write_video(path, pixels, fps=4.0)
    return path


@pytest.fixture
def ask(folder, capsys):
    """Run `kangaroo chat` with the tiny model and return (status, output, what was told beside it)."""

    def run_chat(*arguments, model=folder):
        status = run(["chat", *map(str, arguments), "--model", str(model), "--max-new-tokens", "6", "--device", "cpu"])
        return status, *capsys.readouterr()

    return run_chat


def test_one_question_is_announced_and_answered(ask, film):
    status, out, err = ask(film, "What happens?")
    assert status == 0
    assert err == "16 frames over 10.0 s -> 42 tokens\n"
    assert len(out) > 1
    assert out.endswith("\n")


def test_json_is_one_object_of_fixed_fields(ask, film):
    status, out, err = ask(film, "What happens?", "--json")
    answer = json.loads(out)
    assert status == 0
    assert err == "16 frames over 10.0 s -> 42 tokens\n"
    assert list(answer) == [
        *("answer", "model", "frames", "times_s", "visual_tokens", "prompt_tokens", "new_tokens", "timings_s")
    ]
    assert list(answer["timings_s"]) == ["open", "decode", "vision", "prefill", "generate"]
    assert all(seconds > 0 for seconds in answer["timings_s"].values())
    assert (answer["model"], answer["frames"], answer["visual_tokens"]) == ("tiny", 16, 42)
    assert answer["times_s"][:3] == [0.25, 0.75, 1.5]
    assert 1 <= answer["new_tokens"] <= 6
    assert answer["prompt_tokens"] > 42
    assert ask(film, "What happens?")[1] == answer["answer"] + "\n"


def test_what_is_looked_at_can_be_chosen(ask, film):
    def times(*options):
        return json.loads(ask(film, "What?", "--json", *options)[1])["times_s"]

    assert len(times("--frames", 3)) == 3
    clip = times("--start", 2, "--end", 7.5, "--fps", 4)
    assert len(clip) == 22
    assert 2 <= clip[0] <= clip[-1] <= 7.5
    assert len(times("--frames", 100)) == 40


def test_seeds_make_picks_repeatable(ask, film):
    warm = (film, "What?", "--temperature", 3, "--top-p", 0.99)
    assert ask(*warm, "--seed", 5) == ask(*warm, "--seed", 5)
    assert len({ask(*warm, "--seed", seed)[1] for seed in range(4)}) > 1


def test_subtitles_are_part_of_the_prompt(ask, film, tmp_path):
    (tmp_path / "lines.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nHello there\n")
    plain = json.loads(ask(film, "What?", "--json")[1])
    spoken = json.loads(ask(film, "What?", "--json", "--subtitles", tmp_path / "lines.srt")[1])
    assert spoken["prompt_tokens"] > plain["prompt_tokens"] + 5
    assert spoken["visual_tokens"] == plain["visual_tokens"]


def test_pictures_folders_and_urls_are_films_too(ask, film, tmp_path):
    pixels = np.full((30, 40, 3), 99, dtype=np.uint8)
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encode_jpeg(pixels))
    assert ask(tmp_path / "0.jpg", "What?")[2] == "1 image -> 7 tokens\n"
    assert ask(tmp_path, "What?")[2] == "3 frames over 3.0 s -> 12 tokens\n"
    handler = partial(SimpleHTTPRequestHandler, directory=film.parent)
    handler.func.log_message = lambda *_args: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/film.mp4"
        assert ask(url, "What?") == ask(film, "What?")
        server.shutdown()


def test_info_names_the_film_and_the_frames_that_would_be_seen(folder, film, capsys):
    assert run(["info", str(film), "--model", str(folder)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["codec"], lines["width_px"], lines["duration_s"]) == ("h264", "64", "10.000")
    assert lines["frames"] == "seen   16 of 40"
    assert lines["times_s"].split()[:3] == ["0.25", "0.75", "1.50"]
    assert run(["info", str(film), "--model", str(folder), "--frames", "2", "--end", "90", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["times_s"] == [2.5, 7.5]
    assert (told["num_frames"], told["frames"], told["name"]) == (40, 2, str(film))
    assert "90" in told["notes"][0]


MISTAKES = {
    "missing file": (["gone.mp4", "Hi"], "gone.mp4: no such file or folder"),
    "not a video": (["notes.mp4", "Hi"], "notes.mp4: the file is text, not a video"),
    "nothing in it": (["empty.mp4", "Hi"], "empty.mp4: the file is empty"),
    "folder without pictures": (["nothing", "Hi"], "nothing"),
    "empty question": (["film.mp4", "  "], "the question is empty"),
    "unknown model": (["film.mp4", "Hi", "--model", "roo"], "no model is called 'roo'"),
    "folder without weights": (["film.mp4", "Hi", "--model", "bare"], "the weights are missing"),
    "folder that is no model": (["film.mp4", "Hi", "--model", "nothing"], "config.json is missing"),
    "rate and count": (["film.mp4", "Hi", "--fps", "2", "--frames", "3"], "give one"),
    "no frames": (["film.mp4", "Hi", "--frames", "0"], "num_frames is 0"),
    "negative rate": (["film.mp4", "Hi", "--fps", "-1"], "fps is -1"),
    "clip past the end": (["film.mp4", "Hi", "--start", "11"], "lasts 10.000 s"),
    "clip backwards": (["film.mp4", "Hi", "--start", "5", "--end", "4"], "not after its start"),
    "temperature": (["film.mp4", "Hi", "--temperature", "-1"], "temperature is -1"),
    "top-p": (["film.mp4", "Hi", "--top-p", "2"], "top-p is 2"),
    "seed": (["film.mp4", "Hi", "--seed", "-1"], "seed is -1"),
    "answer without length": (["film.mp4", "Hi", "--max-new-tokens", "0"], "max-new-tokens is 0"),
    "answer beyond the context": (["film.mp4", "Hi", "--max-new-tokens", "5000"], "the context holds 4,096"),
    "device": (["film.mp4", "Hi", "--device", "abacus"], "device 'abacus'"),
    "subtitles": (["film.mp4", "Hi", "--subtitles", "gone.srt"], "gone.srt"),
    "endpoint": (["film.mp4", "Hi", "--endpoint", "localhost"], "is no URL"),
    "endpoint and device": (["film.mp4", "Hi", "--endpoint", "http://x", "--device", "cpu"], "leave one out"),
    "unknown option": (["film.mp4", "Hi", "--speed", "3"], "--speed"),
    "not a number": (["film.mp4", "Hi", "--fps", "fast"], "--fps"),
    "one word too many": (["film.mp4", "Hi", "there"], "there"),
    "no film": ([], "video"),
    "scheme": (["ftp://x/film.mp4", "Hi"], "'ftp' URLs are not read"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_mistake_is_one_line_and_status_2(mistake, as_json, folder, film, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mp4").symlink_to(film)
    (tmp_path / "notes.mp4").write_text("These are notes.\n")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "nothing").mkdir()
    (tmp_path / "bare").mkdir()
    for file in ("config.json", "processor_config.json", "tokenizer.json"):
        (tmp_path / "bare" / file).symlink_to(folder / file)
    arguments, message = MISTAKES[mistake]
    if not {"--model", "--endpoint"} & set(arguments):
        arguments = [*arguments, "--model", str(folder)]
    assert run(["chat", *arguments, *["--json"] * as_json]) == 2
    out, err = capsys.readouterr()
    if as_json:
        assert list(told := json.loads(out)) == ["error"]
        assert err == ""
    else:
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        told = {"error": err.rstrip()}
    assert message in told["error"]


def test_json_needs_a_question(film, capsys):
    assert run(["chat", str(film), "--json"]) == 2
    assert "give a question too" in json.loads(capsys.readouterr().out)["error"]


def test_other_verbs_tell_mistakes_alike(folder, capsys):
    assert run(["info", "gone.mp4", "--model", str(folder)]) == 2
    assert capsys.readouterr().err == "error: gone.mp4: no such file or folder\n"
    assert run(["info", "gone.mp4", "--model", "roo", "--json"]) == 2
    assert "no model is called 'roo'" in json.loads(capsys.readouterr().out)["error"]
    assert run(["hop"]) == 2
    assert "hop" in capsys.readouterr().err


def test_without_a_verb_the_help_is_shown(capsys):
    assert run([]) == 0
    assert "chat" in capsys.readouterr().out


def test_a_mistake_of_ours_is_not_hidden(film, folder, monkeypatch):
    monkeypatch.setattr("kangaroo.chat.load.load", lambda *_args, **_options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(["chat", str(film), "Hi", "--model", str(folder)])


def test_the_installed_command_leaves_with_status_2_and_no_traceback(tmp_path):
    command = [sys.executable, "-c", "from kangaroo.cli import main; main()", "chat", "gone.mp4", "Hi"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: gone.mp4: no such file or folder\n"


def test_a_server_that_would_let_strangers_in_is_refused(capsys, monkeypatch):
    monkeypatch.delenv("KANGAROO_API_KEY", raising=False)
    assert run(["serve", "--host", "0.0.0.0"]) == 2
    assert "no API key is set; set KANGAROO_API_KEY" in capsys.readouterr().err
    assert run(["serve", "--api-key", " "]) == 2
    assert "the API key is empty" in capsys.readouterr().err
    monkeypatch.setenv("KANGAROO_API_KEY", "")
    assert run(["serve"]) == 2
    assert "KANGAROO_API_KEY is empty" in capsys.readouterr().err
    assert run(["serve", "--host", "nowhere.invalid", "--api-key", "x", "--device", "cpu"]) == 2
    assert "cannot listen at nowhere.invalid:8000" in capsys.readouterr().err


def test_the_command_for_vllm_can_be_typed_as_printed(folder, capsys):
    assert run(["vllm", "--model", str(folder), "--context", "1500"]) == 0
    program, verb, where, *options = shlex.split(capsys.readouterr().out)
    assert [program, verb, where] == ["vllm", "serve", str(folder)]
    assert options[:4] == ["--served-model-name", "tiny", "--max-model-len", "1500"]
