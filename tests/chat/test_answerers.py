"""What holds for every answerer: one in this process, and one behind an OpenAI-compatible server."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from taught import BLUE, FIRST, RED, SECOND

from kangaroo.chat.answerer import Answer, FinishReason, Sampling
from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.chat.session import Session
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import OptionError, PromptError, VideoError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

WARM = Sampling(temperature=1.5, top_p=0.9, seed=3, max_new_tokens=16)


@pytest.fixture(params=["local", "remote"])
def any_answerer(request):
    if request.param == "local":
        return request.getfixturevalue("answerer")
    return RemoteAnswerer(request.getfixturevalue("endpoint"))


@pytest.fixture
def about(films):
    return lambda question, colour=RED: Conversation().ask(question, Video(VideoSource(films[colour])))


def told(answer: Answer):
    return answer.text, answer.new_tokens, answer.prompt_tokens, answer.finish_reason, answer.times_s


def test_the_pieces_are_the_text_and_the_answer_knows_how_it_came_about(any_answerer, about):
    answer = any_answerer.answer(about(FIRST))
    assert answer.preflight.startswith("6 frames over 3.0 s -> ")
    assert answer.text == ""
    pieces = list(answer)
    assert len(pieces) > 3
    assert "".join(pieces) == answer.text
    assert answer.finish_reason is FinishReason.STOP
    assert answer.model == any_answerer.name == "taught"
    assert answer.times_s == [[0.0, 0.5, 1.0, 1.5, 2.0, 2.5]]
    assert answer.prompt_tokens > 20
    assert answer.new_tokens >= len(pieces)
    assert set(answer.timings_s) == {"open", "decode", "vision", "prefill", "generate"}
    assert answer.timings_s["decode"] > 0
    assert answer.timings_s["prefill"] > 0
    assert list(answer) == []


def test_an_answer_may_be_waited_for(any_answerer, about):
    assert told(any_answerer.answer(about(FIRST)).read()) == told(any_answerer.answer(about(FIRST)).read())


def test_sampling_is_obeyed(any_answerer, about):
    greedy = any_answerer.answer(about(FIRST)).read()
    short = any_answerer.answer(about(FIRST), Sampling(max_new_tokens=4)).read()
    assert (short.new_tokens, short.finish_reason) == (4, FinishReason.LENGTH)
    assert greedy.text.startswith(short.text)
    stop = greedy.text[3:6]
    stopped = any_answerer.answer(about(FIRST), Sampling(stop=(stop,))).read()
    assert (stopped.text, stopped.finish_reason) == (greedy.text.partition(stop)[0], FinishReason.STOP)
    seeded = [any_answerer.answer(about(FIRST), WARM).read().text for _ in range(2)]
    assert seeded[0] == seeded[1]
    others = {any_answerer.answer(about(FIRST), Sampling(temperature=2.5, seed=seed)).read().text for seed in range(5)}
    assert len(others) > 2


@pytest.mark.parametrize(
    "impossible",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": float("nan")},
        {"max_new_tokens": 0},
        {"seed": -1},
        {"seed": 1 << 64},
        {"stop": ("",)},
    ],
)
def test_impossible_sampling_is_refused(impossible):
    with pytest.raises(OptionError, match=r"give|leave"):
        Sampling(**impossible)


def test_leaving_cancels_one_answer_alone(any_answerer, about):
    answer = any_answerer.answer(about(FIRST))
    for _ in answer:
        break
    assert answer.finish_reason is FinishReason.CANCELLED
    assert answer.text
    assert list(answer) == []
    whole = any_answerer.answer(about(FIRST)).read()
    assert whole.finish_reason is FinishReason.STOP
    assert whole.text.startswith(answer.text)
    whole.close()
    assert whole.finish_reason is FinishReason.STOP


def test_threads_get_what_each_would_get_alone(any_answerer, about):
    asked = [
        (about(question, colour), own)
        for question in (FIRST, SECOND)
        for colour in (RED, BLUE)
        for own in (WARM, Sampling())
    ]
    alone = [told(any_answerer.answer(*one).read()) for one in asked]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda one: told(any_answerer.answer(*one).read()), asked * 2))
    assert together == alone * 2


def test_a_batch_gives_what_each_would_get_alone(any_answerer, about):
    asked = [about(FIRST), about(SECOND, BLUE), Conversation().ask(FIRST), about(SECOND)]
    alone = [told(any_answerer.answer(one, WARM).read()) for one in asked]
    assert [told(answer) for answer in any_answerer.answer_batch(asked, WARM)] == alone
    assert any_answerer.answer_batch([]) == []


def test_a_session_goes_on(any_answerer, films, tmp_path):
    session = any_answerer.chat(str(films[RED]), num_frames=3, sampling=WARM)
    first = session.ask(FIRST).read()
    assert len(first.times_s[0]) == 3
    second = session.ask(SECOND).read()
    assert second.prompt_tokens > first.prompt_tokens
    assert session.regenerate().read().text == second.text
    session.save(tmp_path / "talk.json")
    restored = Session.restore(any_answerer, tmp_path / "talk.json", sampling=WARM)
    assert restored.regenerate().read().text == second.text
    session.reset()
    assert told(session.ask(FIRST).read()) == told(first)


def test_several_films_and_pictures_mix(any_answerer, films, tmp_path):
    picture = Video(VideoSource(films[BLUE]), FrameSampler(num_frames=1))
    answer = any_answerer.answer(Conversation().ask(FIRST, Video(VideoSource(films[RED])), picture)).read()
    assert [len(times_s) for times_s in answer.times_s] == [6, 1]
    assert answer.finish_reason is not None


def test_mistakes_are_told_before_anything_is_done(any_answerer, films, tmp_path):
    with pytest.raises(VideoError, match=r"gone\.mp4: no such file"):
        any_answerer.chat(tmp_path / "gone.mp4").ask(FIRST)
    with pytest.raises(PromptError, match="question is empty"):
        any_answerer.chat(films[RED]).ask(" \n")
    with pytest.raises(PromptError, match="end with a user's question"):
        any_answerer.answer(Conversation().ask(FIRST).reply("x"))
    with pytest.raises(PromptError, match=r"empty|nothing is asked"):
        any_answerer.answer(Conversation())
    with pytest.raises(OptionError, match="starts at 50 s"):
        any_answerer.chat(films[RED], start_s=50.0).ask(FIRST)
    with pytest.raises(OptionError, match="give one"):
        any_answerer.chat(films[RED], fps=2.0, num_frames=2)


def test_scores_are_likelihoods_or_refused(any_answerer, about):
    if isinstance(any_answerer, RemoteAnswerer):
        with pytest.raises(OptionError, match="cannot score"):
            any_answerer.score(about(FIRST), ["A", "B"])
        return
    answer = any_answerer.answer(about(FIRST)).read()
    said, other = any_answerer.score(about(FIRST), [answer.text, "There are 3."])
    assert other.nats < said.nats <= 0
    assert said.num_tokens > 0
    assert (said.is_greedy, other.is_greedy) == (True, False)
    assert any_answerer.score(about(FIRST), [f" {answer.text}\n"]) == [said]
