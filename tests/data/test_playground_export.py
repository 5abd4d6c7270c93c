"""Drawn films become a data set in a few lines: what export and curation are written with."""

import random

from kangaroo.data.check import check
from kangaroo.data.jsonl import JsonLines
from kangaroo.data.record import Kind, Medium, Record, Said
from kangaroo.data.sources import open_source
from kangaroo.data.write import write_jsonl, write_shards
from kangaroo.dialogue.conversation import Role
from kangaroo.playground.draw import write_film
from kangaroo.playground.rounds import Mixture, training_rounds
from kangaroo.playground.script import make_film


def drawn_record(seed, folder):
    drawn = make_film(seed, duration_s=2.5)
    medium = Medium(kind=Kind.VIDEO, path=f"films/{seed}.mp4")
    write_film(drawn, folder / medium.path)
    turns = []
    rounds = training_rounds(drawn, random.Random(seed), Mixture(num_rounds=3))
    for one in rounds:
        turns += [Said(Role.USER, (one.question,)), Said(Role.ASSISTANT, (one.answer,))]
    turns[0] = Said(Role.USER, (medium, *turns[0].parts))
    told = {"source": "playground", "licence": "MIT", "task": rounds[0].family}
    return Record(id=f"playground-{seed}", language=rounds[0].language, turns=tuple(turns), **told)


def test_drawn_films_become_lines_and_shards_that_check_finds_whole(tmp_path):
    (tmp_path / "films").mkdir()
    records = [drawn_record(seed, tmp_path) for seed in range(2)]
    assert write_jsonl(records, tmp_path / "records.jsonl") == 2
    assert list(JsonLines(tmp_path / "records.jsonl").records()) == records
    write_shards(records, tmp_path / "shards", media=tmp_path)
    report = check(tmp_path / "shards", decode=True)
    assert (report.num_records, report.num_media, report.broken) == (2, 2, [])
    packed = [one.turns[0].parts[1:] for one in open_source(tmp_path / "shards").records()]
    assert packed == [one.turns[0].parts[1:] for one in records]
