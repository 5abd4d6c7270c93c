"""The official client gets what a session in this process says, whichever way the film comes."""

import base64

import openai
import pytest
from serving_server import FILM

from kangaroo.chat.answerer import FinishReason, Sampling
from kangaroo.chat.pictures import encode_jpeg
from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

COUNT = "How many objects are there?"
WHEN = "When does the crab appear?"
TELL = "What happens in the film?"


def about(part, question=COUNT):
    return [{"role": "user", "content": [part, {"type": "text", "text": question}]}]


def film_url(url):
    return {"type": "video_url", "video_url": {"url": url}}


def data_url():
    return "data:video/mp4;base64," + base64.b64encode(FILM.read_bytes()).decode()


def ask(server, messages, **options):
    return server.client.chat.completions.create(model="joey", messages=messages, **options)


def streamed(server, messages, **options):
    """Return the text, the reason of the end, and the usage."""
    chunks = list(ask(server, messages, stream=True, stream_options={"include_usage": True}, **options))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    assert choices[0].delta.role == "assistant"
    return text, choices[-1].finish_reason, chunks[-1].usage


def test_every_way_a_film_comes_gives_what_a_session_here_says(server, folder, joey):
    here = joey.chat(FILM).ask(COUNT).read()
    with FILM.open("rb") as file:
        uploaded = server.client.files.create(file=file, purpose="vision")
    for url in (data_url(), f"file://{folder / 'kangaroo.mp4'}", uploaded.id):
        answer = ask(server, about(film_url(url)))
        choice = answer.choices[0]
        assert (choice.message.content, choice.finish_reason) == (here.text, "stop")
        assert answer.usage.completion_tokens == here.new_tokens
        assert answer.usage.prompt_tokens == here.prompt_tokens
        assert answer.usage.prompt_tokens_details.visual_tokens == here.visual_tokens
        assert answer.kangaroo["times_s"] == [[round(time_s, 6) for time_s in here.times_s[0]]]
        assert answer.kangaroo["seen"] == here.preflight
        text, reason, usage = streamed(server, about(film_url(url)))
        assert (text, reason) == (here.text, "stop")
        assert usage.prompt_tokens == here.prompt_tokens


def test_a_film_by_url_is_fetched_once(server, web, joey):
    part = film_url(f"http://{web.host}/film.mp4?secret=1")
    first = ask(server, about(part)).choices[0].message
    again = [*about(part), {"role": "assistant", "content": first.content}, {"role": "user", "content": WHEN}]
    session = joey.chat(FILM)
    assert first.content == session.ask(COUNT).read().text
    assert ask(server, again).choices[0].message.content == session.ask(WHEN).read().text
    assert web.paths.count("/film.mp4?secret=1") == 1


def test_pictures_and_lists_of_frames_are_films_too(server, joey):
    frames = read_frames(VideoSource(FILM), FrameSampler(num_frames=4), size_px=(120, 160))
    pictures = [base64.b64encode(encode_jpeg(pixels)).decode() for pixels in frames.pixels]
    urls = [f"data:image/jpeg;base64,{picture}" for picture in pictures]
    picture = {"type": "image_url", "image_url": {"url": urls[0], "detail": "auto"}}
    here = joey.chat(base64.b64decode(pictures[0])).ask(COUNT).read()
    assert ask(server, about(picture)).choices[0].message.content == here.text
    listed = [{"url": url, "time_s": time_s} for url, time_s in zip(urls, frames.times_s.tolist(), strict=True)]
    answer = ask(server, about({"type": "frames", "frames": listed}))
    assert answer.kangaroo["times_s"] == [pytest.approx((frames.times_s - frames.times_s[0]).tolist(), abs=1e-5)]


def test_a_further_question_sees_no_film_again_and_reads_only_what_is_new(server, joey):
    session = joey.chat(FILM, num_frames=20)
    options = {"extra_body": {"media_io_kwargs": {"video": {"num_frames": 20}}}}
    messages, before = about(film_url(data_url())), server.metrics()
    for question in (COUNT, WHEN, TELL):
        if question != COUNT:
            messages.append({"role": "user", "content": question})
        answer = ask(server, messages, **options)
        assert answer.choices[0].message.content == session.ask(question).read().text
        messages.append(answer.choices[0].message)
        cached = answer.usage.prompt_tokens_details.cached_tokens
        assert (cached > 0.9 * answer.usage.prompt_tokens) == (question != COUNT)
    after = server.metrics()
    assert after["kangaroo_films_seen_total"] - before["kangaroo_films_seen_total"] == 1
    assert after["kangaroo_films_total"] - before["kangaroo_films_total"] == 3


def test_frames_are_asked_for_as_vllm_does(server):
    part = film_url(data_url())
    for options, count, first_s in (
        ({"media_io_kwargs": {"video": {"num_frames": 6}}}, 6, 2.0),
        ({"mm_processor_kwargs": {"num_frames": 4, "start_s": 8, "end_s": 16}}, 4, 9.0),
        ({"mm_processor_kwargs": {"fps": 2}}, 48, 0.25),
    ):
        (times_s,) = ask(server, about(part), max_tokens=1, extra_body=options).kangaroo["times_s"]
        assert len(times_s) == count
        assert times_s[0] == pytest.approx(first_s, abs=0.07)


def test_sampling_is_obeyed(server, joey):
    part = film_url(data_url())
    whole = joey.chat(FILM).ask(TELL, sampling=Sampling(max_new_tokens=40)).read().text
    short = ask(server, about(part, TELL), max_tokens=3)
    assert (short.usage.completion_tokens, short.choices[0].finish_reason) == (3, "length")
    assert ask(server, about(part, TELL), max_completion_tokens=3).choices[0] == short.choices[0]
    stop = whole[10:14]
    stopped = ask(server, about(part, TELL), stop=[stop], max_tokens=40).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == (whole.partition(stop)[0], "stop")
    assert streamed(server, about(part, TELL), stop=whole[0])[:2] == ("", "stop")
    warm = {"temperature": 1.5, "top_p": 0.9, "max_tokens": 20}
    seeded = {ask(server, about(part, TELL), seed=7, **warm).choices[0].message.content for _ in range(2)}
    assert seeded == {joey.chat(FILM).ask(TELL, sampling=_warm(seed=7)).read().text}


def _warm(seed):
    return Sampling(temperature=1.5, top_p=0.9, max_new_tokens=20, seed=seed)


def test_an_answerer_elsewhere_may_ask(server):
    answer = RemoteAnswerer(server.url).chat(FILM, num_frames=4).ask(COUNT).read()
    assert (answer.model, answer.finish_reason) == ("joey", FinishReason.STOP)
    assert len(answer.times_s[0]) == 4
    assert answer.prompt_tokens > answer.new_tokens > 0


def test_models_and_files_are_as_openai_has_them(server):
    client = server.client
    assert [model.id for model in client.models.list()] == ["joey"]
    assert client.models.retrieve("joey").owned_by == "kangaroo"
    with FILM.open("rb") as file:
        one = client.files.create(file=file, purpose="vision")
    assert (one.filename, one.bytes, one.purpose) == ("kangaroo.mp4", FILM.stat().st_size, "vision")
    assert one.expires_at > one.created_at
    assert one in client.files.list().data
    assert client.files.retrieve(one.id) == one
    assert client.files.delete(one.id).deleted
    for gone in (client.files.retrieve, client.files.delete):
        with pytest.raises(openai.NotFoundError, match="may have expired"):
            gone(one.id)
    with pytest.raises(openai.NotFoundError, match="may have expired"):
        ask(server, about(film_url(one.id)))
