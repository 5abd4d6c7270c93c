"""The times of a film's frames, read from its packets without decoding a picture.

One pass over the packets tells when every frame is shown, which frames decode on their own and in which order
the decoder needs them. Containers' own statements (duration, frame count, rate) are often wrong or missing,
so the plan of what to decode rests on this pass alone.
"""

from array import array
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from jaxtyping import Bool, Float64, Int64

from kangaroo.errors import VideoError

_FALLBACK_FPS = 25.0
_MAX_GAP_S = 6 * 3600.0  # no frame stands that long; MPEG clocks that jump back look like one of 26 hours
_MISSING = np.iinfo(np.int64).min
_DISCARD_ALL = 48  # FFmpeg's number: the demuxer need not even read these packets
_DRAWN_OVER = frozenset({"gif", "apng"})  # their frames change the picture before, whatever their packets say
MAX_REORDER = 32  # frames by which decoding may run ahead of showing; more is a jump back in time


@dataclass(frozen=True, kw_only=True, eq=False)
class Timeline:
    """When each packet's frame is shown, in the order in which packets are stored (and decoded).

    Attributes:
        pts: The container's time of each packet, in units of `time_base`.
        times_s: Seconds since the film's first frame, for each packet.
        is_key: Whether decoding may start at this packet.
        is_shown: False for packets that an edit list hides.
        duration_s: From the first frame's appearance to the last frame's end.
        start_s: The container's time of the first frame.
        is_guessed: Some times are not the container's but ours.
        is_by_order: Packets do not tell which frame they become, because times are missing, go backwards or
            stand in decoding order; the decoder's first frame then has the first time and so on, and the
            film must be decoded from its start.
        notes: What a reader should know of these times.
    """

    pts: Int64[np.ndarray, " packet"]
    times_s: Float64[np.ndarray, " packet"]
    is_key: Bool[np.ndarray, " packet"]
    is_shown: Bool[np.ndarray, " packet"]
    time_base: Fraction
    duration_s: float
    start_s: float
    is_guessed: bool
    is_by_order: bool
    notes: tuple[str, ...]

    @cached_property
    def shown(self) -> Int64[np.ndarray, " frame"]:
        """Packets of the frames that are shown, in the order of their showing."""
        order = np.argsort(self.times_s, kind="stable")
        return order[self.is_shown[order]]

    @cached_property
    def is_seekable(self) -> bool:
        """Whether a packet is known by its time: what an edit list hides may carry the time of what it shows."""
        return not self.is_by_order and len(np.unique(self.pts)) == len(self.pts)

    def packet_of(self, pts: int | None) -> int | None:
        """Return the packet of this time stamp, rather a shown than a hidden one, None where there is none."""
        if pts is None:
            return None
        order, ordered = self._by_pts
        place = int(np.searchsorted(ordered, pts, side="right")) - 1
        return int(order[place]) if place >= 0 and ordered[place] == pts else None

    @cached_property
    def _by_pts(self) -> tuple[Int64[np.ndarray, " packet"], Int64[np.ndarray, " packet"]]:
        order = np.lexsort((self.is_shown, self.pts))
        return order, self.pts[order]


def read_timeline(container: InputContainer, stream: VideoStream, *, name: str) -> Timeline:
    """Read the times of all frames; the container is then at its end.

    Raises:
        VideoError: Not one packet can be read.
    """
    # not lists: a film of hours has hundreds of thousands
    pts, dts, lengths, is_key, is_shown = array("q"), array("q"), array("q"), bytearray(), bytearray()
    notes = []
    num_damaged = 0
    for other in container.streams:
        if other is not stream and hasattr(other, "discard"):  # PyAV 15 lacks it
            other.discard = _DISCARD_ALL  # type: ignore[assignment]
    try:
        for packet in container.demux(stream):
            if packet.size == 0 and packet.pts is None:
                continue  # PyAV's flush packet
            pts.append(_MISSING if packet.pts is None else packet.pts)
            dts.append(_MISSING if packet.dts is None else packet.dts)
            lengths.append(packet.duration or 0)
            is_key.append(packet.is_keyframe)
            is_shown.append(not packet.is_discard)
            num_damaged += packet.is_corrupt
    except av.FFmpegError as error:
        notes.append(f"the file is damaged after its packet {len(pts)} ({(error.strerror or 'unknown').lower()})")
    if not pts:
        raise VideoError(f"{name}: the file holds no video frame that can be read; it may be cut off")
    if num_damaged:
        notes.append(f"{num_damaged} of {len(pts)} packets of the film are damaged")
    keys, shown = np.frombuffer(is_key, bool), np.frombuffer(is_shown, bool)
    if stream.codec_context.name in _DRAWN_OVER:
        keys[1:] = False
    if not shown.any():
        shown[:] = True
    ticks = [np.array(column, np.int64) for column in (pts, dts, lengths)]
    return _timeline(stream, *ticks, is_key=keys, is_shown=shown, notes=notes)


def _timeline(
    stream: VideoStream,
    pts: Int64[np.ndarray, " packet"],
    dts: Int64[np.ndarray, " packet"],
    lengths: Int64[np.ndarray, " packet"],
    *,
    is_key: Bool[np.ndarray, " packet"],
    is_shown: Bool[np.ndarray, " packet"],
    notes: list[str],
) -> Timeline:
    time_base = stream.time_base or Fraction(1, 1)
    is_timed = bool((pts != _MISSING).any())
    stated = None if is_timed else stream.codec_context.framerate  # FFmpeg makes up a bare stream's average
    rate = float(stated or stream.average_rate or stream.guessed_rate or _FALLBACK_FPS)
    tick_s = float(time_base)
    step, max_gap = max(1, round(1 / rate / tick_s)), _MAX_GAP_S / tick_s
    repaired = pts.copy()  # hidden packets run on past the next edit's start, so their times say nothing of a clock
    repaired[is_shown], why = _repair(pts[is_shown], dts[is_shown], step=step, max_gap=max_gap)
    start = repaired[is_shown].min()
    times_s = (repaired - start) * tick_s
    last = np.flatnonzero(is_shown)[repaired[is_shown].argmax()]
    ordered = np.unique(times_s[is_shown])
    typical_s = float(np.median(np.diff(ordered))) if len(ordered) > 1 else 1 / rate
    end_s = float(times_s[last]) + (lengths[last] * tick_s if is_timed and lengths[last] > 0 else typical_s)
    return Timeline(
        pts=pts,
        times_s=times_s,
        is_key=is_key,
        is_shown=is_shown,
        time_base=time_base,
        duration_s=end_s,
        start_s=float(start * tick_s),
        is_guessed=bool(why),
        is_by_order=bool(why) or _is_blind_to_order(stream, pts),
        notes=(*notes, *why),
    )


def _is_blind_to_order(stream: VideoStream, pts: Int64[np.ndarray, " packet"]) -> bool:
    """AVI stores no times: with reordered frames FFmpeg's guesses are right in sum and wrong one by one."""
    in_order = bool((np.diff(pts) > 0).all())
    return in_order and stream.codec_context.has_b_frames and stream.container.format.name == "avi"


def _repair(
    pts: Int64[np.ndarray, " packet"], dts: Int64[np.ndarray, " packet"], *, step: int, max_gap: float
) -> tuple[Int64[np.ndarray, " packet"], list[str]]:
    """Return usable times and what was wrong with the given ones; sound times come back as they are."""
    known = pts != _MISSING
    if not known.any():
        return np.arange(len(pts)) * step, ["the file holds no times; its stated rate was used instead"]
    if not known.all():
        # the order of decoding stands in for the order of showing where nothing better is known
        rows = np.arange(len(pts))
        guessed = np.round(np.interp(rows, rows[known], np.sort(pts[known]))).astype(np.int64)
        return _rising(guessed, step), [f"{(~known).sum()} of {len(pts)} frames carry no time; theirs are guessed"]
    decode = np.where(dts == _MISSING, np.maximum.accumulate(pts), dts)
    moves = np.diff(decode)
    breaks = np.flatnonzero((moves < -MAX_REORDER * step) | (moves > max_gap)) + 1
    if not len(breaks) and len(np.unique(pts)) == len(pts):
        return pts, []
    pieces: list[np.ndarray] = []
    offset = 0
    for piece in np.split(pts, breaks):
        ranked = np.argsort(np.argsort(piece, kind="stable"), kind="stable")
        rising = _rising(np.sort(piece), step)[ranked]
        is_torn_off = bool(pieces) and not offset <= rising.min() <= offset + max_gap
        pieces.append(rising + (offset - rising.min() if is_torn_off else 0))
        offset = int(pieces[-1].max()) + step
    return np.concatenate(pieces), ["timestamps jump or repeat; times from there on are guessed"]


def _rising(times: Int64[np.ndarray, " packet"], step: int) -> Int64[np.ndarray, " packet"]:
    """Return `times` with every value that does not rise moved `step` past the one before it."""
    rising = times.astype(np.int64).copy()
    for index in range(1, len(rising)):
        if rising[index] <= rising[index - 1]:
            rising[index] = rising[index - 1] + step
    return rising
