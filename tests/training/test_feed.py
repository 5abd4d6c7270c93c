import json
from dataclasses import fields, replace

import numpy as np
import pytest

from kangaroo.data.packing import Row
from kangaroo.data.quarantine import Quarantine
from kangaroo.data.record import DataError, Kind, Medium, Record, Said
from kangaroo.data.sources import open_source
from kangaroo.data.write import write_jsonl
from kangaroo.dialogue.conversation import Role
from kangaroo.errors import OptionError
from kangaroo.playground.draw import write_film
from kangaroo.playground.script import make_film
from kangaroo.training.curriculum import JOEY, Records
from kangaroo.training.feed import Decoded, Feed, feed_rows, fresh_states
from kangaroo.video.sampler import FrameSampler


def rows_of(feed, states, tmp_path, number, *, workers=0):
    rows = feed_rows(feed, states, Quarantine(tmp_path / "quarantine.jsonl"), workers=workers, lookahead=6)
    return [next(rows) for _ in range(number)]


def assert_equal(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        for field in fields(Row):
            if field.name != "media":
                np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
        for medium, another in zip(one.media, other.media, strict=True):
            np.testing.assert_array_equal(medium.states, another.states)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_whatever_the_workers_rows_are_the_same_in_the_same_order(several, tiny_processor, tmp_path, workers):
    feed = Feed(several, {}, tiny_processor.encoder, seed=1)
    alone = rows_of(feed, fresh_states(several), tmp_path, 6)
    assert_equal(alone, rows_of(feed, fresh_states(several), tmp_path, 6, workers=workers))


def test_a_stopped_feed_goes_on_where_it_was(several, tiny_processor, tmp_path):
    feed = Feed(several, {}, tiny_processor.encoder, seed=1)
    unbroken = rows_of(feed, fresh_states(several), tmp_path, 8)
    # a step takes a row of each stream
    states = [row.state for row in unbroken[2:4]]
    assert_equal(unbroken[4:], rows_of(feed, states, tmp_path, 4))


def test_ranks_that_share_the_streams_see_together_what_one_sees(several, tiny_processor, tmp_path):
    stage = replace(several, rows=4)
    feed = Feed(stage, {}, tiny_processor.encoder, seed=1)
    alone = rows_of(feed, fresh_states(stage), tmp_path, 8)
    first, second = (rows_of(feed, fresh_states(stage)[rank::2], tmp_path, 4) for rank in range(2))
    assert_equal(alone, [row for pair in zip(first, second, strict=True) for row in pair])


def test_seeds_give_other_samples_and_streams_share_none(several, tiny_processor, tmp_path):
    one, other = (Feed(several, {}, tiny_processor.encoder, seed=seed) for seed in (1, 2))
    rows = rows_of(one, fresh_states(several), tmp_path, 6)
    numbers = [number for row in rows for number in row.numbers]
    assert len(set(numbers)) == len(numbers)
    assert not np.array_equal(rows[0].input_ids, rows_of(other, fresh_states(several), tmp_path, 1)[0].input_ids)


@pytest.mark.parametrize("number", range(5))
def test_joeys_rows_are_at_least_95_percent_full(number, tmp_path):
    from kangaroo.dialogue.encoding import Encoder
    from kangaroo.model.presets import joey
    from kangaroo.training.start import shipped_tokenizer

    stage, config = replace(JOEY[number], rows=1), joey()
    config.patchify = stage.patchify.value
    encoder = Encoder(shipped_tokenizer(), config.layout(image_size_px=stage.image_size_px))
    feed = Feed(stage, {}, encoder, seed=0)
    rows = feed_rows(feed, fresh_states(stage), Quarantine(tmp_path / "bad.jsonl"), workers=0)
    assert np.mean([next(rows).fill for _ in range(8)]) >= 0.95


@pytest.fixture
def folder(tmp_path):
    """Records about two films, one of which is broken, and a conversation far too long."""
    write_film(make_film(1, duration_s=3.0), tmp_path / "good.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no film")

    def record(name, film, answer):
        shown = Medium(kind=Kind.VIDEO, path=film)
        turns = (Said(Role.USER, (shown, "What happens?")), Said(Role.ASSISTANT, (answer,)))
        return Record(id=name, source="test", language="en", licence="CC0-1.0", task="describe", turns=turns)

    records = [
        *(record(f"good-{n}", "good.mp4", f"Number {n} jumps.") for n in range(6)),
        record("broken", "broken.mp4", "Nobody knows."),
        record("long", "good.mp4", "A long story. " * 900),
    ]
    write_jsonl(records, tmp_path / "records.jsonl")
    return tmp_path


def test_records_are_read_and_what_is_bad_is_listed_and_replaced(stage, tiny_processor, folder, tmp_path):
    on_disk = replace(stage, data=(Records(name="mine"),), sampler=FrameSampler(num_frames=4))
    feed = Feed(on_disk, {"mine": open_source(folder)}, tiny_processor.encoder, seed=0)
    quarantine = Quarantine(tmp_path / "bad.jsonl", most_bad=0.9)
    rows = feed_rows(feed, fresh_states(on_disk), quarantine, workers=0, lookahead=2)
    seen = [next(rows) for _ in range(6)]
    text = tiny_processor.tokenizer.decode([token for row in seen for token in row.input_ids])
    assert "jumps." in text
    assert "Nobody knows" not in text
    assert "A long story" not in text
    assert all(isinstance(medium, Decoded) for row in seen for medium in row.media)
    assert {count for row in seen for count in row.num_frames} == {4}
    listed = (tmp_path / "bad.jsonl").read_text()
    assert '"broken"' in listed
    assert "records.jsonl" in listed
    assert "more than the context of 512" in listed
    # each under its own line, whatever was bad before it in its place
    lines = {(line["id"], line["line"]) for line in map(json.loads, listed.splitlines())}
    assert lines == {("broken", 7), ("long", 8)}


@pytest.mark.parametrize("workers", [0, 1])
def test_records_of_which_many_in_a_row_are_bad_stop_the_run_in_one_line(
    stage, tiny_processor, folder, tmp_path, workers
):
    write_jsonl([r for r in open_source(folder / "records.jsonl").records() if r.id == "broken"], folder / "one.jsonl")
    on_disk = replace(stage, data=(Records(name="mine"),))
    feed = Feed(on_disk, {"mine": open_source(folder / "one.jsonl")}, tiny_processor.encoder, seed=0)
    rows = feed_rows(feed, fresh_states(on_disk), Quarantine(tmp_path / "bad.jsonl"), workers=workers)
    with pytest.raises(
        DataError, match=r"16 samples in a row are bad, the last: .*broken.mp4.*bad.jsonl lists them"
    ) as caught:
        next(rows)
    assert "\n" not in str(caught.value)
    assert '"broken"' in (tmp_path / "bad.jsonl").read_text()


def test_a_source_without_a_path_and_films_too_long_are_refused_with_the_reason(stage, tiny_processor):
    with pytest.raises(OptionError, match=r"trains on 'captions', which has no path; add it to the recipe's \[data\]"):
        Feed(replace(stage, data=(Records(name="captions"),)), {}, tiny_processor.encoder, seed=0)
    with pytest.raises(OptionError, match=r"160 frames at 56 px is 80 groups of 4 tokens, 402 with .* context is 400"):
        Feed(replace(stage, context_tokens=400), {}, tiny_processor.encoder, seed=0)
