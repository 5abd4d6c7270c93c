"""Streamed text equals text decoded at once, in whole characters, and ends before a stop string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.dialogue.detokenizer import Detokenizer
from kangaroo.errors import OptionError

IDS = st.lists(st.integers(0, 330), max_size=40)


def stream(tokenizer, ids, *, stop=()):
    detokenizer = Detokenizer(tokenizer, stop=stop)
    pieces = []
    for id in ids:
        pieces.append(detokenizer.push(id))
        if detokenizer.stopped:
            break
    return [*pieces, detokenizer.flush()], detokenizer


@given(ids=IDS)
def test_pieces_join_to_what_decoding_at_once_gives(tiny_tokenizer, ids):
    pieces, _ = stream(tiny_tokenizer, ids)
    assert "".join(pieces) == tiny_tokenizer.decode(ids, skip_special_tokens=True)


@given(text=st.text(st.sampled_from("红色鼋龘🦘é a1。"), max_size=20))
def test_no_piece_holds_half_a_character(tiny_tokenizer, text):
    ids = tiny_tokenizer.encode(text, add_special_tokens=False)
    pieces, _ = stream(tiny_tokenizer, ids)
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)


def test_a_character_comes_with_its_last_byte(tiny_tokenizer):
    ids = tiny_tokenizer.encode("龘", add_special_tokens=False)
    assert len(ids) == 3
    pieces, _ = stream(tiny_tokenizer, ids)
    assert pieces == ["", "", "龘", ""]


def test_half_a_character_at_the_end_is_marked(tiny_tokenizer):
    ids = tiny_tokenizer.encode("a龘", add_special_tokens=False)[:-1]
    pieces, _ = stream(tiny_tokenizer, ids)
    assert pieces == ["a", "", "", "\ufffd"]


def test_special_tokens_are_left_out(tiny_tokenizer):
    ids = [*tiny_tokenizer.encode("yes", add_special_tokens=False), 4, 9]
    pieces, _ = stream(tiny_tokenizer, ids)
    assert "".join(pieces) == "yes"


@given(
    text=st.text(st.sampled_from("ab红\n"), max_size=15),
    stops=st.lists(st.text(st.sampled_from("ab红\n"), min_size=1, max_size=3), min_size=1, max_size=2),
)
def test_text_ends_before_the_first_stop_string(tiny_tokenizer, text, stops):
    ids = tiny_tokenizer.encode(text, add_special_tokens=False)
    pieces, detokenizer = stream(tiny_tokenizer, ids, stop=stops)
    said = "".join(pieces)
    assert not any(stop in said for stop in stops)
    assert detokenizer.stopped == any(stop in text for stop in stops)
    assert text.startswith(said)
    assert said == text or any(text[len(said) :].startswith(stop) for stop in stops)


def test_only_what_may_begin_a_stop_string_is_held_back(tiny_tokenizer):
    detokenizer = Detokenizer(tiny_tokenizer, stop=("\n\nQ",))
    pushed = [detokenizer.push(id) for id in tiny_tokenizer.encode("a\n", add_special_tokens=False)]
    assert "".join(pushed) == "a"
    assert detokenizer.push(tiny_tokenizer.encode("b", add_special_tokens=False)[0]) == "\nb"


def test_an_empty_stop_string_is_refused(tiny_tokenizer):
    with pytest.raises(OptionError, match="stop string is empty"):
        Detokenizer(tiny_tokenizer, stop=("",))
