"""Films are fetched, decoded and seen once, give frames when room is short, and are seen anew when they change."""

import copy
import threading
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from taught import ANSWERS, BLUE, FIRST, RED, SECOND, film, write_film

from kangaroo.chat.answerer import Sampling
from kangaroo.chat.kept import KeptFilms
from kangaroo.chat.local import LocalAnswerer
from kangaroo.chat.store import BoundedStore
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import ContextError, VideoError
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource


@pytest.fixture
def web(films):
    """A web server of the films, and how often each was asked for."""
    asked = Counter()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            asked[self.path] += 1
            super().do_GET()

        def log_message(self, *_args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=films[RED].parent)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


@pytest.fixture
def narrow(taught, tiny_processor):
    """Make an answerer whose context holds so many tokens."""

    def make(context_tokens):
        model = copy.deepcopy(taught)
        model.config.text_config.max_position_embeddings = context_tokens
        return LocalAnswerer(model, tiny_processor, name="narrow")

    return make


def test_a_url_is_fetched_once_for_a_whole_conversation(answerer, films, web):
    url, asked = web
    session = answerer.chat(f"{url}/red.mp4")
    assert session.ask(FIRST).read().text == ANSWERS[RED, FIRST]
    session.ask(SECOND).read()
    session.regenerate().read()
    session.reset()
    session.ask(SECOND).read()
    assert asked == {"/red.mp4": 1}
    assert session.last.text == answerer.chat(films[RED]).ask(SECOND).read().text
    answerer.chat(f"{url}/red.mp4", num_frames=2).ask(FIRST).read()
    assert asked == {"/red.mp4": 2}


@pytest.mark.parametrize("keeps", [True, False])
def test_a_url_that_was_planned_and_never_seen_is_fetched_again(cold, films, web, tmp_path, keeps):
    url, asked = web
    data = f"data:video/mp4;base64,{b64encode(films[RED].read_bytes()).decode()}"
    answerer = cold(kept=KeptFilms(tmp_path / "kept") if keeps else None)
    for address in (f"{url}/red.mp4", data):
        session = answerer.chat(address)
        session.ask(FIRST)  # and nobody reads on
        assert session.ask(FIRST).read().text == ANSWERS[RED, FIRST]
    assert asked == {"/red.mp4": 2}


def test_a_url_that_answers_no_film_is_named(answerer, web):
    url, _ = web
    with pytest.raises(VideoError, match=r"/none\.mp4: the server answers 404"):
        answerer.chat(f"{url}/none.mp4").ask(FIRST)


def test_a_film_that_changed_on_disk_is_seen_anew(answerer, tmp_path):
    path = write_film(tmp_path / "film.mp4", RED)
    session = answerer.chat(path)
    assert session.ask(FIRST).read().text == ANSWERS[RED, FIRST]
    write_film(path, BLUE, num_frames=7)
    session.reset()
    assert session.ask(FIRST).read().text == ANSWERS[BLUE, FIRST]
    assert len(session.last.times_s[0]) == 7


def test_all_sessions_share_what_was_seen(answerer, films, work):
    for _ in range(2):
        answerer.chat(films[RED]).ask(FIRST).read()
    assert work.num_films == 1
    answerer.chat(films[RED], num_frames=3).ask(FIRST).read()
    assert work.num_films == 2


def test_a_batch_sees_each_film_once(answerer, work):
    asked = [Conversation().ask(question, film(colour)) for question in (FIRST, SECOND) for colour in (RED, BLUE)]
    answers = answerer.answer_batch(asked)
    assert work.num_films == 2
    assert [answer.text for answer in answers[:2]] == [ANSWERS[RED, FIRST], ANSWERS[BLUE, FIRST]]
    steps = work.positions.count(1)
    # each first word comes of reading the prompt
    assert max(answer.new_tokens for answer in answers) <= steps + 1 < sum(answer.new_tokens for answer in answers) / 2


def test_without_room_to_keep_features_answers_stay_the_same(cold, films, work):
    session = cold(max_feature_bytes=0).chat(films[RED])
    assert session.ask(FIRST).read().text == ANSWERS[RED, FIRST]
    session.ask(SECOND).read()
    assert work.num_films == 2
    assert session.last.text == cold().answer(Conversation(session.conversation.turns[:-1])).read().text


def test_frames_are_lowered_to_fit_and_it_is_said(narrow):
    session = narrow(100).chat(film(RED, 60).source, sampling=Sampling(max_new_tokens=30))
    answer = session.ask(FIRST).read()
    (note,) = answer.notes
    assert f"30 frames lowered to {len(answer.times_s[0])} to fit the context of 100 tokens" in note
    assert 2 <= len(answer.times_s[0]) < 30
    assert answer.preflight.startswith(f"{len(answer.times_s[0])} frames over 30.0 s -> ")
    assert answer.prompt_tokens + 30 <= 100


def test_a_long_conversation_lowers_frames_as_one_that_starts_there(narrow):
    warm = narrow(150)
    session = warm.chat(film(RED, 40).source, sampling=Sampling(max_new_tokens=20))
    counts = []
    for question in (FIRST, SECOND, FIRST):
        answer = session.ask(question).read()
        counts.append(len(answer.times_s[0]))
        asked = Conversation(session.conversation.turns[:-1])
        afresh = narrow(150).answer(asked, session.sampling).read()
        assert (answer.text, answer.times_s, answer.notes) == (afresh.text, afresh.times_s, afresh.notes)
    assert counts[0] == 20 > counts[-1]


def test_what_never_fits_is_refused_with_the_sum(narrow):
    session = narrow(64).chat(film(RED).source, sampling=Sampling(max_new_tokens=8))
    with pytest.raises(ContextError, match=r"needs \d+ tokens .* but the context holds 64"):
        session.ask("Why? " * 40)
    assert session.ask("Why?").read().new_tokens <= 8


def test_threads_share_one_answerer_each_in_its_own_conversation(cold, films):
    shared = cold()
    barrier = threading.Barrier(6)

    def talk(answerer, place, wait):
        session = answerer.chat(films[(RED, BLUE)[place % 2]])
        said = []
        for question in (FIRST, SECOND, FIRST)[place % 3 :]:
            wait()
            said.append(session.ask(question).read().text)
        session.regenerate().read()
        return [*said, session.last.text]

    def rounds(place):
        waits = iter([barrier.wait])
        return talk(shared, place, lambda: [wait() for wait in waits])

    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(rounds, range(6)))
    assert together == [talk(cold(), place, lambda: None) for place in range(6)]


def test_reading_slowly_keeps_nobody_waiting(answerer, films):
    slow = answerer.answer(Conversation().ask(FIRST, Video(VideoSource(films[RED]))))
    next(iter(slow))
    with ThreadPoolExecutor(1) as threads:
        quick = threads.submit(lambda: answerer.chat(films[BLUE]).ask(FIRST).read().text)
        assert quick.result(timeout=30) == ANSWERS[BLUE, FIRST]


def test_a_film_that_breaks_in_the_middle_is_answered_with_what_there_is(answerer, tmp_path):
    path = write_film(tmp_path / "film.mp4", RED, num_frames=40)
    whole = path.read_bytes()
    middle = len(whole) // 2
    path.write_bytes(whole[:middle] + bytes(600) + whole[middle + 600 :])
    answer = answerer.chat(path, sampler=FrameSampler(num_frames=40)).ask(FIRST).read()
    assert answer.text
    assert any("film.mp4: " in note for note in answer.notes)


def test_a_store_forgets_what_was_not_used_for_longest():
    store = BoundedStore(max_size=10)
    store.put("a", 1, size=4)
    store.put("b", 2, size=4)
    assert store.get("a") == 1
    store.put("c", 3, size=4)
    assert [store.get(key) for key in "abc"] == [1, None, 3]
    store.put("a", 4, size=10)
    assert (store.get("a"), store.get("c"), len(store), store.size) == (4, None, 1, 10)
    store.put("d", 5, size=11)
    assert store.get("d") is None
