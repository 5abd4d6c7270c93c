"""A signature changes with what the results depend on, and with nothing else."""

from dataclasses import dataclass, replace

import pytest

from kangaroo.curation.engine.step import Seen, Step, dumps, in_order, signatures


@dataclass(frozen=True, kw_only=True)
class Settings:
    size: int = 1


def make(name, *needs, **changes):
    return Step(name=name, version=1, settings=Settings(), needs=needs, function=len, **changes)


FIRST, SECOND, OTHER = make("first", Seen.PAIRS), make("second", "first"), make("other", Seen.PAIRS)


def of(*steps, frames=0):
    return signatures(steps, seen=dict.fromkeys(Seen, frames))


def test_a_change_reaches_what_depends_on_it_alone():
    before = of(FIRST, SECOND, OTHER)
    for change in ({"version": 2}, {"settings": Settings(size=2)}):
        after = of(replace(FIRST, **change), SECOND, OTHER)
        assert {name for name in before if before[name] != after[name]} == {"first", "second"}
    after = of(FIRST, replace(SECOND, version=2), OTHER)
    assert {name for name in before if before[name] != after[name]} == {"second"}
    assert all(before[name] != after for name, after in of(FIRST, SECOND, OTHER, frames=1).items())


def test_what_results_do_not_depend_on_does_not_count():
    named = replace(FIRST, depends_on={"who": "qwen"})
    assert of(named) == of(replace(named, settings=Settings(size=9)))
    assert of(named) != of(replace(named, depends_on={"who": "other"}))


def test_steps_stand_behind_what_they_need():
    assert [step.name for step in in_order([SECOND, FIRST])] == ["first", "second"]
    with pytest.raises(AssertionError, match="nobody makes"):
        in_order([SECOND])
    with pytest.raises(AssertionError, match="need one another"):
        in_order([make("a", "b"), make("b", "a")])


def test_a_number_that_is_none_is_no_result():
    with pytest.raises(ValueError, match="Out of range"):
        dumps({"speed": float("nan")})
