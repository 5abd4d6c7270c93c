"""Laws of ids: visual blocks are whole, the mask covers the assistant's words alone, text is never more than text."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.dialogue.conversation import Conversation, Role, Text, Turn, Video
from kangaroo.dialogue.encoding import Encoded, Encoder
from kangaroo.dialogue.tokenizer import SPECIAL_TOKENS, ChatToken
from kangaroo.errors import ModelError, PromptError
from kangaroo.model.layout import EofUnit, OddFrames, VisualLayout, VisualToken
from kangaroo.video.source import VideoSource

FILM = Video(VideoSource("film.mp4"))

WORDS = st.text(st.sampled_from("ab 1红\n\t，。<|>_"), max_size=8) | st.sampled_from(
    [str(token) for token in SPECIAL_TOKENS]
)
TEXT = st.lists(WORDS, max_size=3).map("".join)
USER_PARTS = st.lists(TEXT | st.integers(1, 9), min_size=1, max_size=4)


@st.composite
def conversations(draw):
    """Return turns as roles with lists of texts and of numbers: a film of so many frames."""
    turns = [("system", [draw(TEXT)])] if draw(st.booleans()) else []
    for round in range(draw(st.integers(1, 3))):
        if round:
            turns.append(("assistant", [draw(TEXT)]))
        turns.append(("user", draw(USER_PARTS)))
    if draw(st.booleans()):
        turns.append(("assistant", [draw(TEXT)]))
    return turns


def made(turns):
    """Return the conversation and how many frames each of its films has."""
    conversation = Conversation(
        tuple(
            Turn(Role(role), tuple(Text(part) if isinstance(part, str) else FILM for part in parts))
            for role, parts in turns
        )
    )
    return conversation, [part for _, parts in turns for part in parts if isinstance(part, int)]


layouts = st.builds(
    VisualLayout,
    image_size_px=st.sampled_from([28, 42, 56]),
    kernel=st.sampled_from([(1, 1, 1), (2, 2, 2), (4, 1, 1)]),
    odd_frames=st.sampled_from(OddFrames),
    eof_unit=st.sampled_from(EofUnit),
    class_token=st.booleans(),
)


@given(asked=conversations(), layout=layouts)
def test_a_prompt_holds_every_film_whole(tiny_tokenizer, asked, layout):
    conversation, counts = made(asked)
    encoder = Encoder(tiny_tokenizer, layout)
    ids = encoder.conversation(conversation, counts).input_ids
    blocks = [layout.tokens(count) for count in counts]
    visual = [id for id in ids if id in {encoder.ids[token] for token in VisualToken}]
    assert visual == [encoder.ids[token] for block in blocks for token in block]
    starts = [place for place, id in enumerate(ids) if id == encoder.ids[VisualToken.START]]
    for start, count in zip(starts, counts, strict=True):
        assert ids[start : start + layout.num_tokens(count)] == encoder.film(count)
    assert ids.count(encoder.ids[VisualToken.PATCH]) == sum(map(layout.num_visual_tokens, counts))


@given(asked=conversations())
def test_the_mask_covers_what_the_assistant_says_and_nothing_else(tiny_tokenizer, tiny_processor, asked):
    conversation, counts = made(asked)
    encoded = tiny_processor.encode(conversation, counts, generation_prompt=False)
    said = [id for id, mask in zip(encoded.input_ids, encoded.assistant_mask, strict=True) if mask]
    end = str(ChatToken.END_OF_TURN)
    answers = [turn.text.strip() for turn in conversation.turns if turn.role is Role.ASSISTANT]
    assert tiny_tokenizer.decode(said) == "".join(answer + end for answer in answers)


@given(asked=conversations())
def test_text_never_becomes_a_special_token(tiny_tokenizer, tiny_processor, asked):
    conversation, counts = made(asked)
    ids = tiny_processor.encode(conversation, counts, generation_prompt=False).input_ids
    tokens = tiny_tokenizer.convert_ids_to_tokens(ids)
    num_turns = len(conversation.turns)
    assert tokens.count("<|begin_of_text|>") == 1
    for token in (ChatToken.START_HEADER, ChatToken.END_HEADER, ChatToken.END_OF_TURN):
        assert tokens.count(str(token)) == num_turns
    assert tokens.count("<vi_start>") == len(counts)


@given(asked=conversations())
def test_later_rounds_only_add_ids(tiny_processor, asked):
    conversation, counts = made(asked)
    encoder = tiny_processor.encoder
    whole = encoder.conversation(conversation, counts)
    parts, films = encoder.begin(), iter(counts)
    for turn in conversation.turns:
        if turn.role is Role.ASSISTANT:
            prompt = (parts + encoder.prompt()).input_ids
            assert whole.input_ids[: len(prompt)] == prompt
        parts += encoder.turn(turn, [next(films) for part in turn.parts if isinstance(part, Video)])
    assert parts == whole


def test_ids_read_as_llama_3_writes_them(tiny_tokenizer, tiny_processor):
    turns = (Turn(Role.SYSTEM, (Text("Be brief. "),)), Turn(Role.USER, (Text("See "), FILM, Text(" and answer.\n"))))
    encoded = tiny_processor.encode(Conversation(turns), [3], generation_prompt=True)
    assert tiny_tokenizer.decode(encoded.input_ids) == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nSee "
        "<vi_start><vi_pad><vi_pad><vi_pad><vi_pad><eof><vi_pad><vi_pad><vi_pad><vi_pad><eov><vi_end>"
        " and answer.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert encoded.num_frames == [3]
    assert not any(encoded.assistant_mask)


def test_typed_special_tokens_are_read_as_typed(tiny_tokenizer, tiny_processor):
    typed = "<|eot_id|><vi_pad><|start_header_id|>system"
    ids = tiny_processor.encoder.text(typed)
    assert tiny_tokenizer.decode(ids, skip_special_tokens=True) == typed
    assert not set(ids) & set(tiny_processor.encoder.ids.values())


def test_a_copy_in_another_process_reads_typed_special_tokens_the_same(tiny_processor):
    encoder = tiny_processor.encoder
    assert pickle.loads(pickle.dumps(encoder)).text("<|eot_id|>") == encoder.text("<|eot_id|>")


def test_half_a_surrogate_pair_is_replaced(tiny_processor):
    encoder = tiny_processor.encoder
    assert encoder.text("a\ud83db") == encoder.text("a\ufffdb")
    assert encoder.text("\ud83e\udd98") == encoder.text("🦘")


def test_an_open_end_leaves_out_the_end_of_the_turn(tiny_processor):
    encoded = tiny_processor.encode(Conversation().ask("a?").reply("b"), [], generation_prompt=False)
    assert encoded.without_end() == Encoded(
        input_ids=encoded.input_ids[:-1], assistant_mask=encoded.assistant_mask[:-1], num_frames=[]
    )


@pytest.mark.parametrize(
    ("conversation", "films", "complaint"),
    [
        (Conversation(), [], "the conversation is empty"),
        (Conversation().ask("a?").reply("b"), [], "the last turn is the assistant's; end with a user's question"),
        (Conversation().ask("a?", FILM), [], "holds 1 films but 0 were given; give one for each"),
        (Conversation().ask("a?"), [2], "holds 0 films but 1 were given"),
    ],
)
def test_what_cannot_be_asked_is_said(tiny_processor, conversation, films, complaint):
    with pytest.raises(PromptError, match=complaint):
        tiny_processor.encode(conversation, films, generation_prompt=True)


def test_a_tokenizer_without_visual_tokens_is_refused(llama_tokenizer):
    with pytest.raises(ModelError, match="no <vi_start>, <eof>, <eov>, <vi_end>, <vi_pad>; name its reserved slots"):
        Encoder(llama_tokenizer, VisualLayout(image_size_px=56))
