"""However many decoders share a plan, each wanted frame is decoded once, by runs that start where decoding can."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.video.plan import DecodePlan, joined, plan_runs
from kangaroo.video.timeline import Timeline


def timeline_of(num_packets, every):
    return Timeline(
        pts=np.arange(num_packets),
        times_s=np.arange(num_packets) / 30,
        is_key=np.arange(num_packets) % every == 0,
        is_shown=np.ones(num_packets, dtype=bool),
        time_base=Fraction(1, 30),
        duration_s=num_packets / 30,
        start_s=0.0,
        is_guessed=False,
        is_by_order=False,
        notes=(),
    )


def plan_of(timeline, packets):
    packets = np.array(sorted(packets))
    return DecodePlan(packets=packets, times_s=timeline.times_s[packets], runs=plan_runs(timeline, packets))


@given(every=st.integers(1, 60), packets=st.sets(st.integers(0, 599), min_size=1, max_size=80), count=st.integers(1, 9))
def test_shares_hold_every_wanted_frame_once_in_order_and_are_about_equal(every, packets, count):
    timeline = timeline_of(600, every)
    plan = plan_of(timeline, packets)
    shares = plan.shares(count)
    assert 1 <= len(shares) <= count
    assert [packet for share in shares for run in share for packet in run.wanted] == sorted(packets)
    for share in shares:
        assert share[0].first == 0 or timeline.is_key[share[0].first]
        for run in share:
            assert run.first <= run.wanted[0] <= run.wanted[-1] == run.last
    longest = max(map(len, plan.runs))
    work = [
        sum(len(run) for run in plan.runs if run.wanted[0] in {one for r in share for one in r.wanted})
        for share in shares
    ]
    assert max(work) <= sum(work) / count + longest


def test_alone_a_decoder_seeks_only_where_that_spares_decoding():
    timeline = timeline_of(600, 10)
    near, far = plan_of(timeline, [5, 15, 25]), plan_of(timeline, [5, 505])
    assert [(run.first, run.last) for run in near.shares(1)[0]] == [(0, 25)]
    assert [(run.first, run.last) for run in far.shares(1)[0]] == [(0, 5), (500, 505)]
    assert [len(share) for share in near.shares(3)] == [1, 1, 1]
    assert joined(near.runs) == near.shares(1)[0]
    assert near.num_decoded == 26
