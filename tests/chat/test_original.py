"""The authors' lines of code work: text and history come back, later rounds see no frame anew, pieces stream."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import kangaroo
import kangaroo.hf
from kangaroo.chat.original import KangarooForCausalLM, _ends
from kangaroo.errors import KangarooError, OptionError

JOEY = Path(kangaroo.__file__).parent / "joey"
FILM = Path(__file__).parents[2] / "examples" / "kangaroo.mp4"
QUESTION = "How many objects are there?"


@pytest.fixture(scope="module")
def model() -> KangarooForCausalLM:
    return AutoModelForCausalLM.from_pretrained(JOEY, torch_dtype=torch.float32, trust_remote_code=True).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(JOEY)


@pytest.fixture
def seen(model):
    """Count the frames that the tower sees."""
    counts = []
    hook = model.model.vision_tower.register_forward_hook(lambda _module, given, _out: counts.append(len(given[0])))
    yield counts
    hook.remove()


def test_the_notebooks_lines_answer_as_a_session_does(model, tokenizer, seen):
    terminators = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|eot_id|>")]
    greedy = {
        "tokenizer": tokenizer,
        "max_new_tokens": 24,
        "eos_token_id": terminators,
        "do_sample": False,
        "num_frames": 4,
    }
    out, history = model.chat(video_path=str(FILM), query=QUESTION, history=None, **greedy)
    frames = sum(seen)
    again, later = model.chat(video_path=str(FILM), query="What is seen?", history=history, **greedy)
    assert frames == sum(seen) == 4
    session = kangaroo.load("joey", device="cpu").chat(FILM, num_frames=4)
    sampling = kangaroo.Sampling(max_new_tokens=24)
    assert [out, again] == [session.ask(text, sampling=sampling).read().text for text in (QUESTION, "What is seen?")]
    # an earlier history is a value: asking from it once more gives the same
    assert model.chat(video_path=str(FILM), query="What is seen?", history=history, **greedy)[0] == again
    assert len(later.conversation.turns) == 4
    assert len(later.conversation.videos) == 1


def test_pieces_stream_and_the_history_ends_where_the_reader_left(model, tokenizer):
    question = "What happens in the film?"
    whole, _ = model.chat(FILM, question, tokenizer, max_new_tokens=40, do_sample=False, num_frames=4)
    pieces = model.stream_chat(FILM, question, tokenizer, max_new_tokens=40, do_sample=False, num_frames=4)
    said = ""
    while len(said) <= 20:
        text, history = next(pieces)
        said += text
    pieces.close()
    assert whole.startswith(said)
    assert len(said) < len(whole)
    assert history.conversation.turns[-1].text == said
    assert model.chat(FILM, QUESTION, tokenizer, history, num_frames=4, max_new_tokens=8)[0]


def test_sampling_is_the_authors_and_can_be_repeated(model, tokenizer):
    def ask(**options):
        return model.chat(FILM, "What happens in the film?", tokenizer, max_new_tokens=12, num_frames=2, **options)[0]

    assert ask(seed=1) == ask(seed=1, do_sample=True, temperature=0.6, top_p=0.9)
    assert len({ask(seed=seed, temperature=3.0, top_p=1.0) for seed in range(3)}) > 1


def test_an_answer_ends_at_the_ids_that_are_given(model, tokenizer):
    full, _ = model.chat(FILM, "What happens in the film?", tokenizer, max_new_tokens=40, do_sample=False, num_frames=4)
    end = tokenizer.encode(full, add_special_tokens=False)[6]
    short, _ = model.chat(
        FILM, "What happens in the film?", tokenizer, max_new_tokens=40, do_sample=False, num_frames=4, eos_token_id=end
    )
    assert full.startswith(short)
    assert len(short) < len(full)


def test_films_may_be_arrays_and_a_new_one_stands_beside_the_first(model, tokenizer, seen):
    pixels = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    greedy = {"max_new_tokens": 4, "do_sample": False}
    _, history = model.chat(pixels, QUESTION, tokenizer, **greedy)
    _, history = model.chat(pixels, QUESTION, tokenizer, history, **greedy)
    assert len(history.conversation.videos) == 1
    seen.clear()
    _, history = model.chat(FILM, QUESTION, tokenizer, history, num_frames=4, **greedy)
    assert len(history.conversation.videos) == 2
    assert sum(seen) == 4


def test_ends_may_be_a_tensor_and_what_is_no_id_is_refused(model, tokenizer):
    question = "What happens in the film?"
    asked = {"video_path": FILM, "query": question, "tokenizer": tokenizer, "num_frames": 4, "max_new_tokens": 24}
    full, _ = model.chat(**asked, do_sample=False)
    end = tokenizer.encode(full, add_special_tokens=False)[2]
    short, _ = model.chat(**asked, do_sample=False, eos_token_id=[end, 4])
    assert len(short) < len(full)
    for same in (torch.tensor([end, 4]), (end, 4)):
        assert model.chat(**asked, do_sample=False, eos_token_id=same)[0] == short
    with pytest.raises(OptionError, match="eos_token_id is 99999; give an id below 2048"):
        model.chat(**asked, eos_token_id=99_999)
    for wrong in ("4", ["4"], [4, None], -1, 1.5, torch.tensor([0.5])):
        with pytest.raises(OptionError, match="eos_token_id is"):
            _ends(wrong, vocab_size=2048)


@pytest.mark.parametrize(
    ("film", "num_frames", "films"),
    [(str(FILM), None, 1), (FILM, 4, 1), (FILM.parent / "." / FILM.name, None, 1), (FILM, 2, 2)],
)
def test_a_film_that_was_shown_is_shown_again_only_with_another_number_of_frames(
    model, tokenizer, film, num_frames, films
):
    greedy = {"max_new_tokens": 2, "do_sample": False}
    _, history = model.chat(str(FILM), QUESTION, tokenizer, num_frames=4, **greedy)
    _, history = model.chat(film, QUESTION, tokenizer, history, num_frames=num_frames, **greedy)
    assert len(history.conversation.videos) == films


def test_mistakes_are_told(model, tokenizer):
    with pytest.raises(KangarooError, match="missing"):
        model.chat("missing.mp4", QUESTION, tokenizer)
    with pytest.raises(KangarooError, match="question is empty"):
        model.chat(FILM, " ", tokenizer)
    with pytest.raises(TypeError, match="use_cash"):
        model.chat(FILM, QUESTION, tokenizer, use_cash=False)
    with pytest.raises(OptionError, match="training mode"):
        model.train().chat(FILM, QUESTION, tokenizer)
    model.eval()


def test_other_weights_answer_anew(model, tokenizer):
    asked = {"video_path": FILM, "query": QUESTION, "tokenizer": tokenizer, "num_frames": 4, "max_new_tokens": 8}
    before, _ = model.chat(**asked, do_sample=False)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.load_state_dict({name: torch.zeros_like(weight) for name, weight in weights.items()})
    nothing, _ = model.chat(**asked, do_sample=False)
    assert nothing != before
    model.load_state_dict(weights, assign=True)
    again, _ = model.to("cpu").chat(**asked, do_sample=False)
    assert again == before
