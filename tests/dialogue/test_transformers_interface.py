"""transformers' way into the model is the same way: equal ids, equal pixels, one row or many."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_encoding import conversations, made
from test_processor import llama_like

from kangaroo.dialogue.conversation import Conversation, Text
from kangaroo.errors import OptionError, PromptError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

RNG = np.random.default_rng(0)


def film(count):
    return VideoSource.from_arrays(RNG.integers(0, 256, (count, 8, 12, 3), dtype=np.uint8), fps=1.0)


def messages_of(conversation, counts):
    films = iter(counts)
    return [
        {
            "role": str(turn.role),
            "content": [
                {"type": "text", "text": part.text}
                if isinstance(part, Text)
                else {"type": "video", "video": film(next(films))}
                for part in turn.parts
            ],
        }
        for turn in conversation.turns
    ]


MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Before: "}, {"type": "video", "video": film(5)}]},
    {"role": "assistant", "content": "A red circle."},
    {"role": "user", "content": [{"type": "video", "video": film(1)}, {"type": "text", "text": "And <vi_pad> now?"}]},
]
OTHER = [{"role": "user", "content": [{"type": "video", "video": film(9)}, {"type": "text", "text": "几个？"}]}]


def inputs(processor, messages, **options):
    options = {"add_generation_prompt": True, "return_dict": True, "return_tensors": "pt", **options}
    return processor.apply_chat_template(messages, tokenize=True, **options)


def joined(messages):
    """Return messages with neighbouring texts joined, as the template cannot do."""
    result = []
    for message in messages:
        parts = []
        for part in message["content"]:
            if part["type"] == "text" and parts and parts[-1]["type"] == "text":
                parts[-1] = {"type": "text", "text": parts[-1]["text"] + part["text"]}
            else:
                parts.append(part)
        result.append({**message, "content": parts})
    return result


@given(asked=conversations(), answered=st.booleans())
def test_every_road_gives_the_same_ids(tiny_processor, asked, answered):
    conversation, counts = made(asked)
    prompt = conversation.turns[-1].role == "user" and answered
    expected = tiny_processor.encode(conversation, counts, generation_prompt=prompt)
    messages = messages_of(conversation, counts)
    ours = inputs(tiny_processor, messages, add_generation_prompt=prompt, return_assistant_tokens_mask=True)
    assert ours["input_ids"].tolist() == [expected.input_ids]
    assert ours["assistant_masks"].bool().tolist() == [expected.assistant_mask]
    rendered = tiny_processor.apply_chat_template(joined(messages), add_generation_prompt=prompt)
    films = [part["video"] for message in messages for part in message["content"] if part["type"] == "video"]
    theirs = tiny_processor(text=rendered, videos=films or None, return_tensors="pt")
    assert theirs["input_ids"].tolist() == [expected.input_ids]
    assert set(theirs) | {"assistant_masks"} == set(ours)
    for name in set(theirs) - {"input_ids"}:
        torch.testing.assert_close(theirs[name], ours[name], rtol=0, atol=0, equal_nan=True)


def test_a_llama_tokenizer_gives_the_same_ids_by_every_road(llama_tokenizer):
    processor, config = llama_like(llama_tokenizer)
    expected = inputs(processor, OTHER)["input_ids"].tolist()
    text = processor.apply_chat_template(OTHER, add_generation_prompt=True)
    assert processor(text=text, videos=[OTHER[0]["content"][0]["video"]])["input_ids"] == expected
    typed = [{"role": "user", "content": "<vi_pad><|eot_id|> < |"}]
    for ids in (
        inputs(processor, typed)["input_ids"][0].tolist(),
        processor(text=text_of(processor, typed))["input_ids"][0],
    ):
        assert config.video_token_id not in ids
        assert ids.count(processor.encoder.ids["<|eot_id|>"]) == 1


def text_of(processor, messages):
    return processor.apply_chat_template(messages, add_generation_prompt=True)


def test_a_batch_holds_its_rows_padded_on_the_left(tiny_processor):
    batch = inputs(tiny_processor, [MESSAGES, OTHER])
    rows = [inputs(tiny_processor, messages) for messages in (MESSAGES, OTHER)]
    for ids, mask, row in zip(batch["input_ids"], batch["attention_mask"], rows, strict=True):
        assert ids[mask.bool()].tolist() == row["input_ids"][0].tolist()
        assert mask.tolist() == sorted(mask.tolist())
    assert batch["input_ids"].min() >= 0
    assert batch["pixel_values_videos"].shape[:2] == (3, 9)
    assert batch["video_times_s"].isfinite().sum(1).tolist() == [5, 1, 9]
    texts = [text_of(tiny_processor, messages) for messages in (MESSAGES, OTHER)]
    films = [part["video"] for part in (MESSAGES[1]["content"][1], MESSAGES[3]["content"][0], OTHER[0]["content"][0])]
    theirs = tiny_processor(text=texts, videos=films, return_tensors="pt")
    for name in batch:
        torch.testing.assert_close(theirs[name], batch[name], rtol=0, atol=0, equal_nan=True)
    right = inputs(tiny_processor, [MESSAGES, OTHER], processor_kwargs={"padding_side": "right"})
    assert right["attention_mask"][1].tolist() == sorted(mask.tolist(), reverse=True)


def test_one_prompt_answers_alike_alone_and_in_a_batch(tiny_processor, tiny_tokenizer):
    torch.manual_seed(0)
    model = KangarooForConditionalGeneration(tiny(vocab_size=len(tiny_tokenizer))).eval()
    options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": tiny_tokenizer.pad_token_id}
    batch = model.generate(**inputs(tiny_processor, [MESSAGES, OTHER]), **options)
    for row, messages in zip(batch, (MESSAGES, OTHER), strict=True):
        alone = inputs(tiny_processor, messages)
        expected = model.generate(**alone, **options)[0, alone["input_ids"].shape[1] :]
        assert row[-len(expected) :].tolist() == expected.tolist()


def test_messages_are_left_as_they_were(tiny_processor):
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}]}]
    before = copy.deepcopy(messages)
    text_of(tiny_processor, messages)
    assert messages == before


def test_films_are_named_in_every_way(tiny_processor, tmp_path):
    write_video(tmp_path / "film.mp4", RNG.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8), fps=1.0)
    picture = Image.fromarray(RNG.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    picture.save(tmp_path / "picture.png")
    path, png = str(tmp_path / "film.mp4"), str(tmp_path / "picture.png")
    parts = [
        {"type": "video", "path": path},
        {"type": "video_url", "video_url": {"url": f"file://{path}"}},
        {"type": "image", "image": picture},
        {"type": "image_url", "image_url": {"url": png}},
    ]
    batch = inputs(tiny_processor, [{"role": "user", "content": parts}])
    assert batch["video_times_s"].isfinite().sum(1).tolist() == [4, 4, 1, 1]
    pixels = batch["pixel_values_videos"]
    torch.testing.assert_close(pixels[0], pixels[1], rtol=0, atol=0)
    torch.testing.assert_close(pixels[2, 0], pixels[3, 0], rtol=0, atol=0)
    images = tiny_processor(text="<vi_pad><vi_pad>", images=[picture, picture], return_tensors="pt")
    torch.testing.assert_close(images["pixel_values_videos"][0, 0], pixels[2, 0], rtol=0, atol=0)


def test_sampling_is_asked_for_as_transformers_does(tiny_processor):
    by_count = inputs(tiny_processor, OTHER, processor_kwargs={"num_frames": 3})
    assert by_count["video_times_s"].shape == (1, 3)
    assert inputs(tiny_processor, OTHER, num_frames=3)["video_times_s"].shape == (1, 3)
    nested = inputs(tiny_processor, OTHER, processor_kwargs={"videos_kwargs": {"fps": 0.5, "num_frames": None}})
    assert nested["video_times_s"].shape == (1, 9)
    own = copy.deepcopy(OTHER)
    own[0]["content"][0]["sampler"] = FrameSampler(num_frames=2)
    assert inputs(tiny_processor, own, processor_kwargs={"num_frames": 3})["video_times_s"].shape == (1, 2)


def test_the_last_turn_may_go_on(tiny_processor):
    messages = [*OTHER, {"role": "assistant", "content": "一共"}]
    open_end = inputs(tiny_processor, messages, add_generation_prompt=False, continue_final_message=True)
    closed = inputs(tiny_processor, messages, add_generation_prompt=False)
    assert open_end["input_ids"].tolist() == closed["input_ids"][:, :-1].tolist()
    text = tiny_processor.apply_chat_template(messages, continue_final_message=True)
    assert text.endswith("一共")
    with pytest.raises(OptionError, match="choose one"):
        inputs(tiny_processor, messages, continue_final_message=True)


def test_a_conversation_is_taken_as_messages_are(tiny_processor):
    conversation = Conversation.from_messages(OTHER)
    assert (
        inputs(tiny_processor, conversation)["input_ids"].tolist()
        == inputs(tiny_processor, OTHER)["input_ids"].tolist()
    )
    assert text_of(tiny_processor, [conversation, conversation]) == [text_of(tiny_processor, OTHER)] * 2


def test_ids_come_alone_or_as_lists(tiny_processor):
    tensor = tiny_processor.apply_chat_template(OTHER, tokenize=True, return_tensors="pt")
    lists = tiny_processor.apply_chat_template(OTHER, tokenize=True)
    assert tensor.tolist() == lists


def test_kinds_of_tokens_are_told_on_request(tiny_processor):
    batch = inputs(tiny_processor, OTHER, processor_kwargs={"return_mm_token_type_ids": True})
    assert (batch["mm_token_type_ids"] == 2).equal(batch["input_ids"] == tiny_processor.video_token_id)


def test_a_dtype_is_for_pixels_and_not_for_times(tiny_processor):
    batch = inputs(tiny_processor, OTHER).to("cpu", dtype=torch.bfloat16)
    assert batch["pixel_values_videos"].dtype == torch.bfloat16
    assert batch["video_times_s"].dtype == torch.float32
    theirs = tiny_processor(text="<vi_pad>", videos=[film(2)], return_tensors="pt").to(torch.float16)
    assert theirs["video_times_s"].dtype == torch.float32


@given(sizes=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 999), st.integers(1, 999)), max_size=3))
def test_others_may_count_placeholders_without_films(tiny_processor, sizes):
    counted = tiny_processor._get_num_multimodal_tokens(video_sizes=sizes, image_sizes=[(5, 5)])
    for count, size in zip(counted["num_video_tokens"], sizes, strict=True):
        times_s = np.full(400, np.nan)
        times_s[: size[0]] = 0
        unfolded = tiny_processor.replace_video_token({"video_times_s": [times_s]}, video_idx=0)
        assert unfolded.count("<vi_pad>") == count
    assert counted["num_image_tokens"] == [4]


def test_offsets_of_unfolded_films_are_told(tiny_processor):
    out = tiny_processor(text="a<vi_pad>b", videos=[film(2)], return_text_replacement_offsets=True)
    ((offset,),) = out["text_replacement_offsets"]
    assert offset["span"] == (1, 9)
    assert offset["replacement"] == tiny_processor.replace_video_token({"video_times_s": [[0.0, 1.0]]}, video_idx=0)


def test_names_of_inputs(tiny_processor):
    assert tiny_processor.model_input_names == [
        "input_ids", "attention_mask", "pixel_values_videos", "video_times_s",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "kind", "complaint"),
    [
        ({"text": "<vi_pad>", "videos": ["a.mp4", "b.mp4"]}, PromptError, "holds 1 <vi_pad> but 2 films were given"),
        ({"text": "", "images": ["a.png"]}, PromptError, "holds 0 <vi_pad> but 1 films were given"),
        ({"text": "", "videos": [], "images": []}, PromptError, "images and videos come apart"),
        ({"text": "a", "audio": [1]}, PromptError, "does not hear"),
        ({"text": "a", "truncation": True}, OptionError, "might cut a film in two"),
    ],
)
def test_impossible_calls_are_refused(tiny_processor, call, kind, complaint):
    with pytest.raises(kind, match=complaint):
        tiny_processor(**call)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"tools": [{}]}, "the chat template has no tools"),
        ({"chat_template": "{{ 1 }}"}, "a template of your own makes text"),
        ({"processor_kwargs": {"truncation": True}}, "might cut a film in two"),
        ({"processor_kwargs": {"text_kwargs": {"max_length": 3}}}, "text option 'max_length' is not known"),
        ({"load_audio_from_video": True}, "does not do load_audio_from_video=True"),
    ],
)
def test_impossible_options_are_refused(tiny_processor, options, complaint):
    with pytest.raises(OptionError, match=complaint):
        inputs(tiny_processor, OTHER, **options)
