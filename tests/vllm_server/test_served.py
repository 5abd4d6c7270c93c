"""joey behind vLLM sees what `kangaroo chat` sees and says what it says."""

from base64 import b64encode
from io import BytesIO

import numpy as np
import openai
import pytest
import torch
from PIL import Image
from served import message

from kangaroo.chat.load import find_folder
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.model.layout import VisualToken
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

SECONDS = (2.5, 4, 6.5, 9, 12, 16, 20, 26, 34, 48)
QUESTIONS = ("What happens in the film?", "影片里发生了什么？", "How many objects are there?")


def assert_saw(file, pixels, times_s):
    film = torch.load(file)
    torch.testing.assert_close(film["times_s"], torch.tensor(times_s, dtype=torch.float32), rtol=0, atol=0)
    torch.testing.assert_close(film["pixels"], pixels, rtol=0, atol=0)


def expected_pixels(joey, path, sampler=None):
    return joey.processor.pixels([joey.processor.video_processor.read(VideoSource(path), sampler)]).pixels


@pytest.mark.parametrize(("seed", "seconds"), list(enumerate(SECONDS)))
def test_a_film_is_seen_and_answered_as_in_chat(server, joey, draw, seed, seconds):
    path, question = draw(seed, seconds), QUESTIONS[seed % len(QUESTIONS)]
    own = joey.chat(path).ask(question).read()
    reply = server.answer([message(question, path)])
    assert_saw(server.seen()[-1], expected_pixels(joey, path), own.times_s[0])
    assert reply.choices[0].message.content == own.text
    assert reply.choices[0].finish_reason == own.finish_reason
    assert reply.usage.prompt_tokens == own.prompt_tokens


def test_a_second_round_goes_on_without_a_second_look(server, joey, draw):
    path, (first, _, second) = draw(20, 14), QUESTIONS
    session = joey.chat(path)
    own = [session.ask(first).read().text, session.ask(second).read().text]
    told = server.answer([message(first, path)]).choices[0].message.content
    looks = len(server.seen())
    history = [message(first, path), {"role": "assistant", "content": told}, {"role": "user", "content": second}]
    assert [told, server.answer(history).choices[0].message.content] == own
    assert len(server.seen()) == looks


def test_frames_of_a_film_of_uneven_rate_keep_their_times(server, joey, tmp_path):
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.uniform(0.05, 0.9, 40)) - 0.01
    write_video(tmp_path / "uneven.mp4", rng.integers(0, 255, (40, 96, 128, 3), dtype=np.uint8), times_s=times_s)
    server.answer([message("What happens in the film?", tmp_path / "uneven.mp4")])
    frames = read_frames(VideoSource(tmp_path / "uneven.mp4"), FrameSampler(), size_px=224)
    assert len(set(np.diff(frames.times_s).round(3))) > 5
    assert_saw(server.seen()[-1], expected_pixels(joey, tmp_path / "uneven.mp4"), frames.times_s)


def test_two_films_of_unlike_length_in_one_question(server, joey, draw):
    paths, question = [draw(31, 22), draw(32, 5)], "How many objects are there?"
    own = joey.answer(Conversation().ask(question, *[Video(VideoSource(path)) for path in paths])).read()
    assert server.answer([message(question, *paths)]).choices[0].message.content == own.text
    for file, path, times_s in zip(server.seen()[-2:], paths, own.times_s, strict=True):
        assert_saw(file, expected_pixels(joey, path), times_s)


@pytest.mark.filterwarnings("default")  # vllm's own
def test_times_pass_vllm_as_whole_numbers_which_no_precision_rounds(joey, draw):
    from kangaroo.serving.vllm_model import ServedProcessor

    films = [VideoSource(draw(41, 11)), VideoSource(draw(32, 5))]
    inputs = ServedProcessor.from_pretrained(find_folder("joey"))(text="<vi_pad><vi_pad>", videos=films)
    for film, pixels, bits in zip(films, inputs["pixel_values_videos"], inputs["video_times_s"], strict=True):
        alone = joey.processor.video_processor.read(film)
        assert bits.dtype == torch.int32
        assert bits.view(torch.float32).tolist() == torch.tensor(alone.times_s, dtype=torch.float32).tolist()
        assert len(pixels) == len(bits) == len(alone)


@pytest.mark.parametrize(
    "options", [{"num_frames": 5}, {"fps": 2.0}, {"start_s": 3.0, "end_s": 7.5}, {"num_frames": 48}]
)
def test_a_request_may_pick_its_frames(server, joey, draw, options):
    path, question = draw(41, 11), "What happens in the film?"
    own = joey.chat(path, **options).ask(question).read()
    reply = server.answer([message(question, path)], media_io_kwargs={"video": options})
    assert_saw(server.seen()[-1], expected_pixels(joey, path, FrameSampler().with_options(**options)), own.times_s[0])
    assert reply.choices[0].message.content == own.text


def test_pictures_go_as_frames_with_their_rate(server):
    rng = np.random.default_rng(1)
    urls = []
    for _ in range(3):
        file = BytesIO()
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(file, "JPEG")
        urls.append(b64encode(file.getvalue()).decode())
    part = {"type": "video_url", "video_url": {"url": f"data:video/jpeg;base64,{','.join(urls)}"}}
    content = [part, {"type": "text", "text": "What is there?"}]
    server.answer([{"role": "user", "content": content}], media_io_kwargs={"video": {"num_frames": -1, "fps": 2}})
    assert torch.load(server.seen()[-1])["times_s"].tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"media_io_kwargs": {"video": {"fps": 2, "num_frames": 8}}}, "both fps 2 and num_frames 8"),
        ({"media_io_kwargs": {"video": {"start_s": 99}}}, "starts at 99 s"),
        ({"media_io_kwargs": {"video": {"size_px": 9999}}}, "has no option 'size_px'"),
        ({"media_io_kwargs": {"video": {"num_frames": 9999}}}, "9999 but the context holds 220 beside words"),
        ({"media_io_kwargs": {"video": {"fps": "fast"}}}, "fps is 'fast'; give a number"),
        ({"mm_processor_kwargs": {"fps": 2}}, "too late for fps; put it into media_io_kwargs"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(server, draw, options, named):
    with pytest.raises(openai.BadRequestError, match=named):
        server.answer([message("What?", draw(41, 11))], **options)


def test_a_film_that_cannot_be_read_is_refused_and_the_next_is_answered(server, draw, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(draw(41, 11).read_bytes()[:300])
    with pytest.raises(openai.BadRequestError, match="the video"):
        server.answer([message("What?", tmp_path / "broken.mp4")])
    assert server.answer([message("What?", draw(41, 11))]).choices[0].message.content


def test_visual_tokens_are_never_spoken(server, draw):
    biased = {str(id): 100.0 for id in (5, 6, 7, 8, 9)}
    reply = server.answer([message("What?", draw(41, 11))], logit_bias=biased, skip_special_tokens=False)
    assert not any(token in reply.choices[0].message.content for token in VisualToken)
