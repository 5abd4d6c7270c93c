"""Calls share a fixed number of workers, whoever makes them, and where these stand is one setting."""

import os
import sys
import time

import pytest

from kangaroo.curation.engine.pool import each, hired
from kangaroo.curation.engine.recipe import Engine, Machine
from kangaroo.errors import OptionError, VideoError


def slow_pid(_, wait_s):
    time.sleep(wait_s)
    return os.getpid()


def called(errands, task, *, wait_s=0.2, time_s=20.0):
    return errands.call(slow_pid, task, wait_s, name=f"film {task}", doing="waiting", time_s=time_s)


def test_many_threads_share_few_workers():
    with hired(Machine(workers=2), shared=[]) as errands:
        tasks = each(range(8), lambda task: called(errands, task), threads=6, stop=errands.cancel)
        found = dict(tasks)
    assert found.keys() == set(range(8))
    assert len(set(found.values())) == 2


def test_each_call_has_its_own_limit_and_the_next_is_none_the_worse():
    with hired(Machine(workers=1), shared=[]) as errands:
        called(errands, 1)
        with pytest.raises(VideoError, match=r"film 2: waiting took longer than 0.5 s"):
            called(errands, 2, wait_s=30, time_s=0.5)
        called(errands, 3)


def test_an_iteration_that_is_left_early_ends_what_is_under_way():
    def do(task):
        return called(errands, task, wait_s=0 if task == 0 else 60, time_s=100.0)

    with hired(Machine(workers=2), shared=[]) as errands:
        began = time.monotonic()
        tasks = each(range(8), do, threads=6, stop=errands.cancel)
        next(tasks)
        tasks.close()
        assert time.monotonic() - began < 30
        with pytest.raises(VideoError, match="nobody waits"):
            called(errands, 9)


def test_an_engine_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"kangaroo-video\[ray\]"), hired(Machine(engine=Engine.RAY), shared=[]):
        pass


def test_an_address_is_of_a_cluster():
    with pytest.raises(OptionError, match='give engine = "ray"'):
        Machine(address="auto")
