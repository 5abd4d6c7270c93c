"""A benchmark's films and questions are written down once, and found again in clips made of other encodings."""

import pytest
from reels import draw_reel, scenes

from kangaroo.cli import run
from kangaroo.curation.measures.fingerprint import fingerprint
from kangaroo.curation.words.leaks import Fingerprints
from kangaroo.curation.words.templates import Round
from kangaroo.data.record import Kind, Medium, Record, Said
from kangaroo.data.write import write_jsonl
from kangaroo.dialogue.conversation import Role
from kangaroo.video.decode import read_frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

QUESTION, ANSWER = "Which of the seven coloured blocks does the white square pass by first?", "The one at the left."


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exam")
    draw_reel(folder / "film.mp4", scenes(1, 1), seconds=[3.0])
    turns = (
        Said(Role.USER, (Medium(kind=Kind.VIDEO, path="film.mp4"), QUESTION)),
        Said(Role.ASSISTANT, (ANSWER,)),
    )
    record = Record(id="1", source="exam", language="en", licence="CC0-1.0", task="open", turns=turns)
    write_jsonl([record], folder / "records.jsonl")
    assert run(["evaluate", "fingerprint", str(folder / "records.jsonl"), "--out", str(folder / "exam.json")]) == 0
    return folder


def test_its_films_are_known_in_another_size(exam, tmp_path):
    prints = Fingerprints.read(exam / "exam.json")
    for seed, shown in ((1, 1.0), (9, 0.0)):
        path = draw_reel(tmp_path / f"{seed}.mp4", scenes(seed, 1), seconds=[2.0], shrink=2, crf=30)
        frames = read_frames(VideoSource(path), FrameSampler(num_frames=4), size_px=(90, 160))
        assert prints.shows(fingerprint(frames).hashes) == pytest.approx(shown, abs=0.1)


def test_its_questions_are_known(exam):
    prints = Fingerprints.read(exam / "exam.json")
    assert prints.benchmark == "exam"
    assert prints.asks([Round(QUESTION.lower(), ANSWER)])
    assert not prints.asks([Round("What happens?", "A square goes by.")])
