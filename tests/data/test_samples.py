"""The stream of samples: the same with any number of workers and after any resume; bad media never stop or skew it."""

import itertools
import shutil

import numpy as np
import pytest
from folders import draw, draw_endless, lines_of, rewrite

from kangaroo.data.jsonl import JsonLines
from kangaroo.data.mixture import Ingredient, Mixture
from kangaroo.data.quarantine import Quarantine
from kangaroo.data.record import DataError
from kangaroo.data.samples import MOST_BAD_IN_A_ROW, Samples, Span, Viewing, stream
from kangaroo.data.sources import open_source
from kangaroo.data.write import write_shards
from kangaroo.errors import OptionError
from kangaroo.video.decode import read_frames
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

TWO = FrameSampler(num_frames=2, fps=None)
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")  # on two cores


def samples_of(*paths, seed=0, time_s=60.0):
    mixture = Mixture({path.stem: Ingredient(source=open_source(path), weight=1.0) for path in paths}, seed=seed)
    return Samples(mixture, Viewing(sampler=TWO, size_px=16, limits=Limits(time_s=time_s)))


def streamed(paths, quarantine, *, workers=0, **span):
    samples = samples_of(*paths)
    return [seen(sample) for sample in stream(samples, quarantine, Span(**span), num_workers=workers)]


def seen(sample):
    return sample.number, sample.record.id, b"".join(frames.pixels.tobytes() for frames in sample.films)


@pytest.fixture
def quarantine(tmp_path):
    return Quarantine(tmp_path / "run/quarantine.jsonl")


@pytest.fixture
def own(drawn, tmp_path):
    """A copy of the drawn folder to break."""
    shutil.copytree(drawn.parent, tmp_path / "own")
    return tmp_path / "own/records.jsonl"


def shards_of(path, folder):
    write_shards(JsonLines(path).records(), folder, media=path.parent, shard_bytes=30_000)
    return folder


def test_a_sample_holds_the_frames_that_the_reader_gives(drawn):
    samples = samples_of(drawn)
    sample = samples[3].sample
    samples.close()
    (medium,) = sample.record.media
    expected = read_frames(VideoSource(drawn.parent / medium.path), TWO, size_px=16)
    assert np.array_equal(sample.films[0].pixels, expected.pixels)
    assert np.array_equal(sample.films[0].times_s, expected.times_s)
    assert sample.conversation.videos[0].sampler == TWO
    assert sample.conversation.turns[-1].text == "A square."


def test_any_number_of_workers_and_any_resume_give_the_same_stream(drawn, tmp_path, quarantine):
    paths = (drawn, shards_of(drawn, tmp_path / "shards"))
    whole = streamed(paths, quarantine, stop=24)
    assert [number for number, *_ in whole] == list(range(24))
    for workers in (1, 3):
        assert streamed(paths, quarantine, workers=workers, stop=24) == whole
    for start in (1, 17):
        assert streamed(paths, quarantine, start=start, stop=24) == whole[start:]
    shares = [streamed(paths, quarantine, rank=rank, num_ranks=2, stop=24) for rank in (0, 1)]
    assert sorted(itertools.chain(*shares)) == whole
    assert quarantine.num_bad == 0


def test_a_resume_decodes_nothing_that_was_consumed(drawn, quarantine):
    numbers = []

    class Reads(JsonLines):
        def read(self, number):
            numbers.append(number)
            return super().read(number)

    source = Reads(drawn)
    mixture = Mixture({"all": Ingredient(source=source, weight=1.0)}, seed=0)
    samples = Samples(mixture, Viewing(sampler=TWO, size_px=16))
    list(stream(samples, quarantine, Span(start=100_003, stop=100_006)))
    assert numbers == [mixture.pick(number).number for number in (100_003, 100_004, 100_005)]


def broken_folder(own):
    """One record of twenty-four each for what can be wrong with a medium; returns what is said of whom."""
    films = own.parent / "films"
    whole = draw(films / "long.mp4", num_frames=60).read_bytes()
    (films / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (films / "headless.mp4").write_bytes(whole[len(whole) // 2 :])
    (films / "text.mp4").write_text("no film at all")
    (films / "empty.mp4").touch()
    lines = lines_of(own)
    for number, name in enumerate(["cut", "headless", "text", "empty"]):
        lines[number]["media"][0]["path"] = f"films/{name}.mp4"
    lines[4]["media"][0] |= {"start_s": 100}
    lines[5]["media"][0] |= {"end_s": 100}
    lines[6]["media"][0] |= {"kind": "image"}
    lines[6]["turns"][0]["content"] = "<image>What?"
    lines[7]["turns"][0]["role"] = "human"
    lines[8]["media"][0]["path"] = "films/gone.mp4"
    rewrite(own, lines)
    (films / "gone.mp4").unlink(missing_ok=True)
    return {
        1: "cut off",
        2: "not a video",
        3: "text, not a video",
        4: "empty",
        5: "starts at 100 s but the film lasts 3",
        6: "before the clip's end at 100 s",
        7: "calls it image",
        8: "role 'human'",
        9: "is missing",
    }


def test_bad_records_are_listed_with_the_reason_and_replaced_by_the_next(own, tmp_path):
    reasons = broken_folder(own)
    quarantine = Quarantine(tmp_path / "run/quarantine.jsonl", most_bad=1.0)
    whole = streamed([own], quarantine, stop=20)
    listed = {line["line"]: line for line in lines_of(quarantine.path)}
    assert sorted(listed) == sorted(reasons)
    for number, reason in reasons.items():
        assert reason in listed[number]["reason"]
        assert listed[number]["file"] == str(own)
        assert listed[number]["id"] == (None if number == 8 else f"film-{number - 1}")
        assert listed[number]["when"].startswith("20")
    good = {f"film-{number}" for number in range(9, 20)}
    assert {id for _, id, _ in whole} == good
    assert quarantine.num_good == 20
    assert quarantine.num_bad >= 9
    # whichever process meets it, and wherever the stream begins: the same records
    again = Quarantine(tmp_path / "again.jsonl", most_bad=1.0)
    assert streamed([own], again, workers=2, stop=20) == whole
    assert (again.num_good, again.num_bad) == (quarantine.num_good, quarantine.num_bad)
    assert streamed([own], quarantine, start=11, stop=20) == whole[11:]
    assert len(lines_of(quarantine.path)) == 9


def test_a_sample_says_which_record_took_the_bad_ones_place(own):
    lines = lines_of(own)[:2]
    rewrite(own, ["{", lines[1]])
    samples = samples_of(own)
    tried = [samples[number] for number in range(4)]
    samples.close()
    places = {str(samples.mixture.source(one.sample.pick).place(one.sample.pick.number)) for one in tried}
    assert any(one.bad for one in tried)
    assert places == {f"{own}:2"}


def test_a_film_that_takes_too_long_is_stopped_and_quarantined(own, quarantine):
    draw_endless(own.parent / "films/0.mp4")
    rewrite(own, lines_of(own)[:2])
    samples = samples_of(own, time_s=4.0)
    tried = list(stream(samples, Quarantine(quarantine.path, most_bad=1.0), Span(stop=4)))
    assert {one.record.id for one in tried} == {"film-1"}
    (listed,) = lines_of(quarantine.path)
    assert listed["id"] == "film-0"
    assert "decoding it took longer than 4 s; it was stopped" in listed["reason"]


def test_the_run_fails_when_more_than_its_share_is_bad(own, tmp_path):
    lines = lines_of(own)
    for line in lines[:2]:
        line["media"][0]["path"] = "films/gone.mp4"
    rewrite(own, lines)
    few = Quarantine(tmp_path / "few.jsonl", most_bad=0.05, at_least=20)
    with pytest.raises(DataError, match=r"of \d+ samples are bad, more than the 5\.0% that a run bears; .*few\.jsonl"):
        streamed([own], few, stop=60)
    assert len(lines_of(few.path)) == 2
    bears = Quarantine(tmp_path / "bears.jsonl", most_bad=0.2, at_least=20)
    assert len(streamed([own], bears, stop=60)) == 60


def test_data_that_is_bad_throughout_fails_at_once(own, quarantine):
    rewrite(own, ["{"] * 20)
    assert MOST_BAD_IN_A_ROW == 16
    with pytest.raises(DataError, match=r"16 samples in a row are bad, the last: .*not JSON"):
        streamed([own], quarantine, stop=60)
    assert len(lines_of(quarantine.path)) == 16


def test_impossible_spans_and_shares_are_refused(tmp_path):
    with pytest.raises(OptionError, match="rank 2 is none of 2"):
        Span(rank=2, num_ranks=2)
    with pytest.raises(OptionError, match="first sample is number -1"):
        Span(start=-1)
    with pytest.raises(OptionError, match=r"most_bad is 1\.5"):
        Quarantine(tmp_path / "q.jsonl", most_bad=1.5)
