"""More requests than turns, clients that leave, decoders that die, and the signal to stop."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest
from serving_server import FILM, start_server

LONG = {"model": "endless", "messages": [{"role": "user", "content": "Tell."}], "max_tokens": 3000}


def first_chunks(small, **options):
    stream = small.client.chat.completions.create(**LONG | options, stream=True)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            return stream
    raise AssertionError("it said nothing")


def ask_about(small, film, **options):
    content = [{"type": "video_url", "video_url": {"url": film}}, {"type": "text", "text": "What?"}]
    messages = [{"role": "user", "content": content}]
    return small.client.chat.completions.create(model=small.model, messages=messages, max_tokens=2, **options)


def upload(small):
    return small.client.files.create(file=FILM, purpose="vision").id


def test_beyond_the_queue_requests_are_refused_and_told_when_to_come_again(small):
    streams = [first_chunks(small) for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(small.post) for _ in range(2)]
        small.wait_for("kangaroo_requests_waiting", 2)
        refused = small.post()
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["type"] == "rate_limit_error"
        for stream in streams:
            stream.close()
        assert [answer.result().status_code for answer in waiting] == [200, 200]
    small.wait_for("kangaroo_answers_running", 0)


def test_who_hangs_up_frees_a_turn_within_a_second(small):
    before = small.metrics()
    streams = [first_chunks(small) for _ in range(2)]
    with pytest.raises(httpx2.TimeoutException):  # one that waits for a turn leaves the queue
        httpx2.post(f"{small.url}/chat/completions", json=LONG, timeout=0.3)
    assert small.wait_for("kangaroo_requests_waiting", 0) < 1
    for stream in streams:
        stream.close()
    assert small.wait_for("kangaroo_answers_running", 0) < 1
    with pytest.raises(httpx2.TimeoutException):  # and so does one that does not stream
        httpx2.post(f"{small.url}/chat/completions", json=LONG, timeout=0.5)
    assert small.wait_for("kangaroo_answers_running", 0) < 1
    after = small.metrics()
    cancelled = 'kangaroo_answers_total{finish="cancelled"}'
    assert after[cancelled] - before.get(cancelled, 0) == 3


def test_a_decoder_that_is_killed_costs_one_request(small):
    film = upload(small)
    (decoder,) = small.decoders()
    os.kill(decoder, signal.SIGSTOP)  # so that it is in the middle, whatever the machine
    options = {"extra_body": {"media_io_kwargs": {"video": {"num_frames": 6, "start_s": 1.0}}}}
    with ThreadPoolExecutor(1) as threads:
        failed = threads.submit(ask_about, small, film, **options)
        small.wait_for("kangaroo_answers_running", 1)
        # the loop goes on meanwhile
        assert httpx2.get(f"{small.root}/healthz", timeout=1).status_code == 200
        os.kill(decoder, signal.SIGKILL)
        with pytest.raises(openai.BadRequestError, match=r"crashed the decoder \(SIGKILL\)"):
            failed.result()
    assert ask_about(small, film, **options).choices[0].finish_reason in ("stop", "length")
    assert small.decoders() != [decoder]


def test_who_hangs_up_ends_a_decoder_that_hangs(small):
    film = upload(small)
    (decoder,) = small.decoders()
    os.kill(decoder, signal.SIGSTOP)
    with pytest.raises(openai.APITimeoutError):
        ask_about(small, film, timeout=0.5, extra_body={"mm_processor_kwargs": {"num_frames": 6, "start_s": 2.0}})
    assert small.wait_for("kangaroo_answers_running", 0) < 1
    assert ask_about(small, film).choices[0].finish_reason in ("stop", "length")


def test_a_slow_decoder_holds_up_nobody_else(small):
    film = upload(small)
    (decoder,) = small.decoders()
    os.kill(decoder, signal.SIGSTOP)
    slow = threading.Thread(
        target=ask_about, args=(small, film), kwargs={"extra_body": {"mm_processor_kwargs": {"num_frames": 8}}}
    )
    slow.start()
    small.wait_for("kangaroo_answers_running", 1)
    began_s = time.monotonic()
    assert small.post().status_code == 200
    assert time.monotonic() - began_s < 3
    os.kill(decoder, signal.SIGCONT)
    slow.join()


@pytest.fixture(scope="module")
def locked(endless):
    """One answer at a time, for those who have the key."""
    with start_server(endless, api_key="swordfish", num_running=1) as running:
        yield running


def test_a_key_is_asked_for_everywhere_but_for_the_pulse(locked):
    assert [model.id for model in locked.client.models.list()] == ["endless"]
    for path in ("/v1/models", "/v1/files", "/metrics", "/openapi.json", "/nothing"):
        for headers in ({}, {"authorization": "Bearer swordfis"}, {"authorization": "Basic swordfish"}):
            refused = httpx2.get(locked.root + path, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert httpx2.get(f"{locked.root}/healthz").json() == {"status": "ok"}
    with pytest.raises(openai.AuthenticationError), openai.OpenAI(base_url=locked.url, api_key="unknown") as stranger:
        stranger.models.list()


def test_sigterm_ends_what_runs_and_refuses_the_rest(locked):
    film = upload(locked)
    assert ask_about(locked, film).usage.completion_tokens == 2
    (decoder,) = locked.decoders()
    os.kill(decoder, signal.SIGSTOP)  # so that it runs until it is let go, whatever the machine
    with ThreadPoolExecutor(2) as threads:
        runs = threads.submit(ask_about, locked, film, extra_body={"media_io_kwargs": {"video": {"num_frames": 6}}})
        locked.wait_for("kangaroo_answers_running", 1)
        waiting = threads.submit(locked.post)
        locked.wait_for("kangaroo_requests_waiting", 1)
        locked.process.send_signal(signal.SIGTERM)
        assert waiting.result().status_code == 503
        os.kill(decoder, signal.SIGCONT)
        assert runs.result().usage.completion_tokens == 2
    assert locked.process.wait(timeout=20) == 0
    with pytest.raises(httpx2.ConnectError):
        locked.post()


def test_sigterm_lets_a_stream_under_way_end(endless):
    with start_server(endless) as running:
        stream = first_chunks(running, max_tokens=300, stream_options={"include_usage": True})
        running.process.send_signal(signal.SIGTERM)
        chunks = list(stream)
        assert chunks[-1].usage.completion_tokens == 300
        assert chunks[-2].choices[0].finish_reason == "length"
        assert running.process.wait(timeout=20) == 0
