"""The command for vLLM fits the model: what it sets aside is what films cost."""

import json

import pytest

from kangaroo.chat.load import find_folder
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.presets import kangaroo_8b
from kangaroo.serving.vllm_command import max_frames, serve_command

JOEY = find_folder("joey")


@pytest.fixture
def large(tmp_path, tiny_processor):
    """A folder of the published sizes, without weights."""
    kangaroo_8b().save_pretrained(tmp_path)
    tiny_processor.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "processor_config.json").read_text())
    settings["video_processor"]["size"] = {"height": 448, "width": 448}
    (tmp_path / "processor_config.json").write_text(json.dumps(settings))
    return tmp_path


def options(folder, **how):
    program, verb, where, *rest = serve_command(folder, **how)
    assert [program, verb, where] == ["vllm", "serve", str(folder)]
    return dict(zip(rest[::2], rest[1::2], strict=True))


def test_joeys_longest_film_fits_one_step_and_its_shortest_ones_the_context():
    layout = KangarooProcessor.from_pretrained(JOEY).layout
    given = options(JOEY)
    assert given["--max-model-len"] == "8192"
    assert layout.num_tokens(160) < int(given["--max-num-batched-tokens"]) <= 8192
    films = json.loads(given["--limit-mm-per-prompt"])["video"]
    assert films * layout.num_tokens(16) < 8192 < (films + 3) * layout.num_tokens(16)
    assert given["--served-model-name"] == "joey"
    assert "--tensor-parallel-size" not in given


def test_a_shorter_context_sets_less_aside():
    assert int(options(JOEY, context_tokens=2048)["--max-num-batched-tokens"]) == 2048
    assert options(JOEY, context_tokens=2048)["--max-model-len"] == "2048"


def test_frames_leave_room_for_words():
    layout = KangarooProcessor.from_pretrained(JOEY).layout
    for context in (1200, 2048, 8192):
        assert layout.num_tokens(max_frames(layout, context)) + 1024 <= context
        assert layout.num_tokens(max_frames(layout, context) + 2) + 1024 > context


def test_gpus_share_the_published_model(large):
    assert options(large, gpus=4)["--tensor-parallel-size"] == "4"
    assert options(large)["--max-model-len"] == "22528"
    with pytest.raises(OptionError, match=r"3 GPUs cannot share 32 attention heads.* give one of 1, 2, 4, 8, 16, 32"):
        serve_command(large, gpus=3)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"context_tokens": 9000}, "is 9,000 tokens, but the model was made for 8,192"),
        ({"context_tokens": 900}, "900 tokens holds no film beside words; give 1,091 or more"),
        ({"gpus": 2}, "2 GPUs cannot share 10 attention heads over 5 of keys and an MLP of 864; give one of 1"),
    ],
)
def test_what_does_not_fit_is_said_with_both_numbers(how, said):
    with pytest.raises(OptionError, match=said):
        serve_command(JOEY, **how)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(ModelError, match="no model here"):
        serve_command(tmp_path)
