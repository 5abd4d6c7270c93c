"""The processor of a model: ids agree with the config, and it comes back as it was saved."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.dialogue.template import chat_template
from kangaroo.dialogue.tokenizer import name_visual_tokens
from kangaroo.dialogue.video_processor import KangarooVideoProcessor
from kangaroo.errors import ModelError, OptionError
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import TokenIds, joey, kangaroo_8b, tiny
from kangaroo.video.decode import Resize
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


def llama_like(tokenizer):
    """Return the processor and config of a model whose visual tokens sit in Llama 3's reserved slots."""
    first = tokenizer.convert_tokens_to_ids("<|reserved_special_token_0|>")
    slots = dict(zip(("vi_start", "eof", "eov", "vi_end", "vi_pad"), range(first, first + 5), strict=True))
    config = tiny(vocab_size=len(tokenizer), ids=TokenIds(**slots))
    return KangarooProcessor.for_model(config, name_visual_tokens(tokenizer, config.visual_token_ids)), config


@given(num_frames=st.integers(1, 400), preset=st.sampled_from([tiny, joey, kangaroo_8b]))
def test_placeholders_are_as_many_as_features(tiny_tokenizer, num_frames, preset):
    layout = preset().layout()
    config = tiny(vocab_size=len(tiny_tokenizer))
    size = {"height": layout.image_size_px, "width": layout.image_size_px}
    processor = KangarooProcessor(tiny_tokenizer, KangarooVideoProcessor(size=size))
    ids = processor.encoder.film(num_frames)
    assert ids.count(config.video_token_id) == layout.num_visual_tokens(num_frames)
    assert len(ids) == layout.num_tokens(num_frames)


def test_the_published_size_counts_as_the_figure_does(tiny_tokenizer):
    processor = KangarooProcessor(tiny_tokenizer, KangarooVideoProcessor())
    assert [len(processor.encoder.film(count)) for count in (16, 64, 160)] == [2058, 8226, 20562]


def test_visual_tokens_are_named_for_the_ban(tiny_processor):
    assert tiny_processor.visual_token_ids == (5, 6, 7, 8, 9)
    assert tiny_processor.video_token_id == 9


def test_tokenizer_and_config_must_agree(tiny_tokenizer):
    config = tiny(vocab_size=512, ids=TokenIds(vi_pad=99))
    with pytest.raises(ModelError, match="<vi_pad> has id 9 in the tokenizer but 99 in the model's config"):
        KangarooProcessor.for_model(config, tiny_tokenizer)


def test_films_are_square(tiny_tokenizer):
    with pytest.raises(OptionError, match="films are 28 x 56 px, but the vision tower takes squares"):
        KangarooProcessor(tiny_tokenizer, KangarooVideoProcessor(size={"height": 28, "width": 56}))


def test_a_model_may_look_at_another_size(tiny_tokenizer):
    processor = KangarooProcessor.for_model(
        joey(vocab_size=len(tiny_tokenizer)), tiny_tokenizer, image_size_px=112, resize_rule=Resize.PAD
    )
    assert processor.video_processor.size_px == (112, 112)
    assert processor.layout.tokens_per_group == 16


def test_reserved_slots_of_llama_3_serve_as_visual_tokens(llama_tokenizer):
    processor, config = llama_like(llama_tokenizer)
    assert processor.visual_token_ids == tuple(config.visual_token_ids[token] for token in VisualToken)
    film = Video(VideoSource("film.mp4"))
    conversation = Conversation().ask("Where is <vi_pad>?", film).reply("红色 left")
    encoded = processor.encode(conversation, [2], generation_prompt=False)
    assert processor.tokenizer.decode(encoded.input_ids) == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n<vi_start><vi_pad><vi_pad><vi_pad><vi_pad><eov>"
        "<vi_end>Where is <vi_pad>?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n红色 left<|eot_id|>"
    )
    assert encoded.input_ids.count(config.video_token_id) == 4
    assert encoded.input_ids.count(llama_tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("kind", ["trained", "llama"])
def test_it_comes_back_as_it_was_saved(kind, tiny_tokenizer, llama_tokenizer, tmp_path):
    if kind == "trained":
        sampler = FrameSampler(fps=0.5, min_frames=2)
        config = tiny(vocab_size=len(tiny_tokenizer))
        config.eof_unit = "frame"
        processor = KangarooProcessor.for_model(config, tiny_tokenizer, frame_sampler=sampler)
    else:
        processor, _ = llama_like(llama_tokenizer)
    processor.save_pretrained(tmp_path)
    assert (tmp_path / "chat_template.jinja").read_text() == chat_template()
    loaded = KangarooProcessor.from_pretrained(tmp_path)
    assert loaded.layout == processor.layout
    assert loaded.to_dict() == processor.to_dict()
    assert loaded.video_processor.frame_sampler == processor.video_processor.frame_sampler
    conversation = Conversation().ask("Where is <vi_pad>? 红", Video(VideoSource("film.mp4"))).reply("left")
    assert loaded.encode(conversation, [3], generation_prompt=False) == processor.encode(
        conversation, [3], generation_prompt=False
    )
    assert AutoTokenizer.from_pretrained(tmp_path).get_vocab() == processor.tokenizer.get_vocab()
    saved = json.loads((tmp_path / "processor_config.json").read_text())
    assert set(saved) == {"film_layout", "processor_class", "video_processor"}


def test_printing_a_processor_costs_no_copy_of_its_tokenizer(tiny_processor, monkeypatch):
    def refuse(*args):
        raise AssertionError("the tokenizer was copied")

    monkeypatch.setattr(PreTrainedTokenizerFast, "__deepcopy__", refuse, raising=False)
    assert "KangarooProcessor" in str(tiny_processor.to_json_string())


def test_pixels_come_flat_with_their_times(tiny_processor):
    film = VideoSource.from_arrays(torch.zeros(6, 8, 8, 3, dtype=torch.uint8).numpy(), fps=1.0)
    frames = tiny_processor.video_processor.read(film)
    flat = tiny_processor.pixels([frames, frames])
    assert flat.pixels.shape == (12, 3, 56, 56)
    assert flat.times_s.tolist() == [*range(6), *range(6)]
