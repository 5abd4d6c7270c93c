"""Which frames to show and which packets to decode for them, settled before a picture is decoded.

A run is a stretch of packets sent to the decoder one after another. It starts where decoding can start and
ends with the last frame wanted from it, so what lies between two runs is never decoded and no packet twice.
Several decoders share a plan: each takes runs that follow one another, about as many packets as the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from kangaroo.video.sampler import FrameSampler
from kangaroo.video.timeline import MAX_REORDER, Timeline

# seeking drains and refills the decoder's threads, which costs about as much as decoding this many frames
_SEEK_COST_PACKETS = 12
_SLACK_S = 1e-9  # times that are equal on paper differ in the last bit of a float


@dataclass(frozen=True, kw_only=True)
class Run:
    """Packets `first` to `last`, both included, and the wanted ones among them in decoding order."""

    first: int
    last: int
    wanted: tuple[int, ...]

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodePlan:
    """What will be seen and what that takes.

    Attributes:
        packets: The packet of each wanted frame, in the order of their showing.
        times_s: When each wanted frame appears, in seconds since the film's first frame.
        runs: What to decode, in the order of the file, as short as they can be.
    """

    packets: Int64[np.ndarray, " frame"]
    times_s: Float64[np.ndarray, " frame"]
    runs: tuple[Run, ...]

    @property
    def num_decoded(self) -> int:
        """How many packets the runs hold, to compare with the film's."""
        return sum(len(run) for run in joined(self.runs))

    def shares(self, count: int) -> list[tuple[Run, ...]]:
        """Return the runs of each of at most so many decoders; runs with little between them are one."""
        each = sum(map(len, self.runs)) / count
        shares: list[list[Run]] = []
        before = 0
        for run in self.runs:
            # to the share in which the run's middle falls
            if before + len(run) / 2 >= len(shares) * each or not shares:
                shares.append([])
            shares[-1].append(run)
            before += len(run)
        return [joined(share) for share in shares]


def choose_frames(
    sampler: FrameSampler,
    shown_s: Float64[np.ndarray, " frame"],
    duration_s: float,
    *,
    key_s: Float64[np.ndarray, " key"] | None = None,
) -> Int64[np.ndarray, " wanted"]:
    """Return which of the frames shown at `shown_s` are on screen at the sampler's times, each at most once.

    A clip that holds no more frames than wanted gives all of them. `key_s` are the times of key frames, to
    which the sampler may snap.

    Raises:
        OptionError: The sampler's clip starts after the film's end.
    """
    wanted_s = sampler.wanted_times(duration_s)
    start_s, end_s = sampler.clip_s(duration_s)
    first, last = _on_screen(shown_s, np.array([start_s, end_s]))
    if last > first and shown_s[last] >= end_s:
        last -= 1  # it appears just as the clip ends
    if last - first + 1 <= len(wanted_s):
        return np.arange(first, last + 1)
    chosen = np.minimum(_on_screen(shown_s, wanted_s), last)
    if sampler.snap_s > 0 and key_s is not None and len(key_s):
        after = np.clip(np.searchsorted(key_s, wanted_s), 0, len(key_s) - 1)
        before = np.maximum(after - 1, 0)
        nearest = key_s[np.where(wanted_s - key_s[before] <= key_s[after] - wanted_s + _SLACK_S, before, after)]
        near = np.abs(nearest - wanted_s) <= sampler.snap_s + _SLACK_S
        chosen = np.where(near, np.searchsorted(shown_s, nearest), chosen)
    return np.unique(chosen)


def _on_screen(
    shown_s: Float64[np.ndarray, " frame"], at_s: Float64[np.ndarray, " time"]
) -> Int64[np.ndarray, " time"]:
    return np.maximum(np.searchsorted(shown_s, at_s + _SLACK_S, side="right") - 1, 0)


def make_plan(timeline: Timeline, sampler: FrameSampler) -> DecodePlan:
    """Return which packets to decode for the sampler's frames.

    Raises:
        OptionError: The sampler's clip starts after the film's end.
    """
    shown = timeline.shown
    shown_s = timeline.times_s[shown]
    key_s = shown_s[timeline.is_key[shown]]
    packets = shown[choose_frames(sampler, shown_s, timeline.duration_s, key_s=key_s)]
    return DecodePlan(packets=packets, times_s=timeline.times_s[packets], runs=plan_runs(timeline, packets))


def plan_runs(timeline: Timeline, packets: Int64[np.ndarray, " frame"]) -> tuple[Run, ...]:
    """Return the runs that decode `packets`, none of them longer than needed."""
    keys = np.flatnonzero(timeline.is_key)
    runs: list[Run] = []
    for packet in map(int, np.sort(packets)):
        start = _start_for(timeline, keys, packet) if timeline.is_seekable else 0
        if runs and start <= runs[-1].last:
            runs[-1] = Run(first=runs[-1].first, last=packet, wanted=(*runs[-1].wanted, packet))
        else:
            runs.append(Run(first=start, last=packet, wanted=(packet,)))
    if runs and runs[0].first <= _SEEK_COST_PACKETS:
        runs[0] = replace(runs[0], first=0)
    if runs and timeline.is_by_order:
        runs[0] = replace(runs[0], last=min(runs[0].last + MAX_REORDER, len(timeline.pts) - 1))
    return tuple(runs)


def joined(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return runs of which those are one between which decoding on is cheaper than seeking."""
    found: list[Run] = []
    for run in runs:
        if found and run.first <= found[-1].last + _SEEK_COST_PACKETS:
            found[-1] = Run(first=found[-1].first, last=run.last, wanted=(*found[-1].wanted, *run.wanted))
        else:
            found.append(run)
    return tuple(found)


def _start_for(timeline: Timeline, keys: Int64[np.ndarray, " key"], packet: int) -> int:
    """Return the packet at which decoding must start so that `packet` comes out whole.

    A frame stored after a key frame but shown before it may lean on the group before (an open group of
    pictures), so decoding then starts one key frame earlier.
    """
    position = int(np.searchsorted(keys, packet, side="right")) - 1
    if position >= 0 and timeline.times_s[packet] < timeline.times_s[keys[position]]:
        position -= 1
    return int(keys[position]) if position >= 0 else 0
