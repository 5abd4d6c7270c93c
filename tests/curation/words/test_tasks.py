"""A clip's tasks follow the shares over many clips and its id alone."""

from collections import Counter

import pytest

from kangaroo.curation.words.tasks import PUBLISHED, InstructSettings, Task, languages_of, languages_wanted, tasks_of
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language


def test_the_default_is_the_published_mix():
    shares = {str(task): share / sum(PUBLISHED.values()) for task, share in PUBLISHED.items()}
    assert sum(shares[name] for name in ("choice", "open")) == pytest.approx(0.37, abs=0.005)
    assert sum(shares[name] for name in ("detailed", "short", "caption_zh")) == pytest.approx(0.21, abs=0.005)
    number = 1000
    firsts = Counter(tasks_of(f"clip {n}", InstructSettings())[0] for n in range(number))
    for task in Task:
        assert firsts[task] / number == pytest.approx(shares[task], abs=0.03)


def test_a_task_without_a_share_is_never_given():
    settings = InstructSettings(shares={"open": 2.0, "single_zh": 1.0, "short": 0.0})
    assert set(tasks_of("clip", settings)) == {Task.OPEN, Task.SINGLE_ZH}
    assert languages_wanted(settings) == (Language.EN, Language.ZH)
    assert languages_wanted(InstructSettings(shares={"open": 1.0})) == (Language.EN,)


def test_a_changed_share_leaves_most_clips_what_they_were():
    before = InstructSettings()
    after = InstructSettings(shares={**before.shares, "open": 2 * before.shares["open"]})
    changed = sum(tasks_of(f"{n}", before)[0] is not tasks_of(f"{n}", after)[0] for n in range(400))
    assert changed / 400 < 0.15


def test_a_clip_is_captioned_in_the_languages_of_its_tasks():
    settings = InstructSettings(num_records=2)
    for n in range(50):
        wanted = {task.language for task in tasks_of(f"{n}", settings)[:2]}
        assert set(languages_of(f"{n}", settings)) == wanted


def test_impossible_settings_are_refused():
    with pytest.raises(OptionError, match="single_zh"):
        InstructSettings(shares={"singel_zh": 1.0})
    for wrong in ({"shares": {"open": -1.0}}, {"shares": {"open": 0.0}}, {"num_records": 0}, {"licence": " "}):
        with pytest.raises(OptionError):
            InstructSettings(**wrong)
