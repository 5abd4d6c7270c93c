"""Who becomes a record: clips with words, that no benchmark shows, as far as their category has room."""

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from captioned import told

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.step import plain
from kangaroo.curation.wording import Askers, Words
from kangaroo.curation.words.balance import BalanceSettings
from kangaroo.curation.words.captioning import CaptionSettings
from kangaroo.curation.words.categories import CategorySettings
from kangaroo.curation.words.leaks import LeakSettings
from kangaroo.curation.words.merging import MergeSettings, merge
from kangaroo.curation.words.refining import RefineSettings
from kangaroo.curation.words.tasks import InstructSettings
from kangaroo.curation.words.templates import Round
from kangaroo.data.fingerprints import FilmPrint, Fingerprints
from kangaroo.data.record import Kind, Medium

HASHES = ["00ff00ff00ff00ff", "ffffffff00000000"]
MEDIUM = Medium(kind=Kind.VIDEO, path="media/a.mp4")


@pytest.fixture
def words(tmp_path):
    return Words(
        captions=CaptionSettings(),
        refine=RefineSettings(),
        merge=MergeSettings(),
        categories=CategorySettings(),
        balance=BalanceSettings(),
        instruct=InstructSettings(shares={"detailed": 1.0}),
        leaks=LeakSettings(),
        askers=Askers(tmp_path / "ledger.sqlite"),
    )


def clip(name):
    return Clip(id=name, video=Path(f"{name}.mp4"), start_s=0.0, end_s=3.0)


def results(text, category="animals", hashes=()):
    merged = plain(asdict(merge([told("joey", text)])))
    return {"merged.en": merged, "category": {"name": category}, "fingerprint": {"hashes": list(hashes)}}


def test_a_clip_without_words_goes_and_says_so(words):
    known = [
        (clip("a"), results("A grey dog runs over the wide beach.")),
        (clip("b"), results("")),
        (clip("c"), {"fingerprint": {"hashes": []}}),
    ]
    fates = words.choose(known)
    assert (fates["a"].reason, fates["a"].category, fates["a"].weight) == ("", "animals", 1.0)
    assert "nobody said anything" in fates["b"].reason
    assert "could not be asked" in fates["c"].reason


def test_heads_are_thinned_and_tails_weigh_more(words):
    known = [
        (clip(f"{number}"), results("A dog runs over the beach.", "food" if number < 5 else "animals"))
        for number in range(105)
    ]
    fates = words.choose(known)
    stay = Counter(fate.category for fate in fates.values() if not fate.reason)
    assert stay["food"] == 5
    assert stay["animals"] < 100
    assert all(fate.weight > 1 for fate in fates.values() if fate.category == "food")
    assert any(fate.reason == "balance: there is enough of animals" for fate in fates.values())


def test_what_a_benchmark_shows_or_asks_is_no_record(words, tmp_path):
    said = "A purple giraffe with a green hat walks slowly past seven very small yellow houses."
    (record,) = words.records(clip("a"), results(said), MEDIUM)
    question = record.turns[0].parts[1]
    asked = Fingerprints.of("asks", films=[], rounds=[Round(question, said)])
    shown = Fingerprints.of("shows", films=[FilmPrint(sha256="ab" * 32, hashes=tuple(HASHES))], rounds=[])
    for prints in (asked, shown):
        prints.write(tmp_path / f"{prints.benchmark}.json")
    (tmp_path / "a.mp4").write_bytes(b"a film")
    here = replace(clip("a"), video=tmp_path / "a.mp4")
    strict = replace(words, leaks=LeakSettings(fingerprints=(tmp_path / "asks.json",)))
    assert not strict.choose([(here, results(said))])["a"].reason
    assert list(strict.records(here, results(said), MEDIUM)) == []
    strict = replace(words, leaks=LeakSettings(fingerprints=(tmp_path / "shows.json",)))
    assert strict.choose([(here, results(said, hashes=HASHES))])["a"].reason == "leak: shows shows this film"


def test_an_image_is_not_called_a_video(words):
    (record,) = words.records(clip("a"), results("A dog runs."), Medium(kind=Kind.IMAGE, path="media/a.png"))
    assert "video" not in record.turns[0].parts[1]
