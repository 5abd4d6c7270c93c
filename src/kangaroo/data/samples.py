"""Samples of a mixture by number, films decoded: in worker processes, in order, the same after every resume.

What is bad is told with the sample that took its place, so that whoever iterates counts it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kangaroo.data.decoding import Decoder, Look
from kangaroo.data.mixture import Mixture, Pick
from kangaroo.data.quarantine import Bad, Quarantine
from kangaroo.data.record import DataError, Medium, Record
from kangaroo.dialogue.conversation import Conversation
from kangaroo.errors import KangarooError, OptionError
from kangaroo.video.decode import Resize
from kangaroo.video.frames import Frames
from kangaroo.video.isolate import Limits
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

MOST_BAD_IN_A_ROW = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A conversation and the frames of its media: what `KangarooProcessor.encode` takes.

    Attributes:
        number: Its number in the mixture; a run that resumes starts at the last one's plus the stride.
        pick: Which record of the mixture it is, bad ones before it skipped.
        record: What it is, with its provenance.
        conversation: The record's, its films as references.
        films: The frames of each, in order.
    """

    number: int
    pick: Pick
    record: Record
    conversation: Conversation
    films: tuple[Frames, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tried:
    """A sample, and the bad ones in whose place it came; None where too many in a row were bad."""

    sample: Sample | None
    bad: tuple[Bad, ...]


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """How a stage looks at media.

    Attributes:
        sampler: Picks the frames of media that name no sampler.
        size_px: Side of the square that frames come to.
        resize: How they come to it.
        limits: What decoding one medium may take.
    """

    sampler: FrameSampler
    size_px: int
    resize: Resize = Resize.STRETCH
    limits: Limits = field(default_factory=lambda: Limits(time_s=60.0))


class Samples:
    """What PyTorch's DataLoader takes for a map-style dataset: any number gives a sample.

    >>> Samples(mixture, Viewing(sampler=FrameSampler(num_frames=8), size_px=224))[5].sample
    """

    def __init__(self, mixture: Mixture, viewing: Viewing) -> None:
        self.mixture, self.viewing = mixture, viewing
        self._decoder = Decoder(viewing.limits)
        self._known_bad: dict[Pick, Bad] = {}

    def __getitem__(self, number: int) -> Tried:
        """Return sample `number`, or the next one of its source that is not bad."""
        bad: list[Bad] = []
        for skipped in range(MOST_BAD_IN_A_ROW):
            pick = self.mixture.pick(number, skipped=skipped)
            sample = self._load(number, pick)
            if isinstance(sample, Sample):
                return Tried(sample=sample, bad=tuple(bad))
            bad.append(sample)
        return Tried(sample=None, bad=tuple(bad))

    def close(self) -> None:
        """End the decoding process."""
        self._decoder.close()

    def _load(self, number: int, pick: Pick) -> Sample | Bad:
        if pick in self._known_bad:
            return self._known_bad[pick]
        source, record = self.mixture.source(pick), None
        try:
            record = source.read(pick.number)
            found = {medium: source.find(pick.number, medium) for medium in record.media}
            films = tuple(self._frames(medium, found[medium]) for medium in record.media)
        except KangarooError as error:
            bad = Bad(place=source.place(pick.number), id=None if record is None else record.id, reason=str(error))
            self._known_bad[pick] = bad
            return bad
        # the bytes of a shard's films have done their work
        named = {medium: VideoSource(medium.path, label=one.name) for medium, one in found.items()}
        conversation = record.conversation(named.__getitem__, self.viewing.sampler)
        return Sample(number=number, pick=pick, record=record, conversation=conversation, films=films)

    def _frames(self, medium: Medium, source: VideoSource) -> Frames:
        look = Look(size_px=self.viewing.size_px, resize=self.viewing.resize)
        frames = self._decoder.look(look, source, medium.kind, medium.sampled_by(self.viewing.sampler))
        assert isinstance(frames, Frames), "a look with a size gives frames"
        return frames


@dataclass(frozen=True, kw_only=True)
class Span:
    """Which samples of the mixture one rank sees.

    Attributes:
        start: Number of the first sample of all ranks: the state to save.
        stop: Number that is not reached; None never ends.
        rank: This process among `num_ranks`, each of which takes every `num_ranks`-th sample.
        num_ranks: How many share the samples.
    """

    start: int = 0
    stop: int | None = None
    rank: int = 0
    num_ranks: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.num_ranks:
            raise OptionError(f"rank {self.rank} is none of {self.num_ranks}; count from 0")
        if self.start < 0:
            raise OptionError(f"the first sample is number {self.start}; give 0 or more")

    def numbers(self) -> range:
        """Return the numbers, in order."""
        return range(self.start + self.rank, 1 << 62 if self.stop is None else self.stop, self.num_ranks)


def stream(samples: Samples, quarantine: Quarantine, span: Span, *, num_workers: int = 0) -> Iterator[Sample]:
    """Yield samples in order, decoded ahead by worker processes (0: by this one); any number of them gives the same.

    >>> for sample in stream(samples, Quarantine(run / "quarantine.jsonl"), Span(start=state), num_workers=4):
    ...     state = sample.number + 1

    Raises:
        DataError: More than the quarantine's share of samples is bad, or many in a row.
    """
    from torch.utils.data import DataLoader

    options: dict[str, Any] = {"num_workers": num_workers, "prefetch_factor": 2 if num_workers else None}
    dataset: Any = samples  # a map-style dataset by its methods; its class is torch's to import
    loader = DataLoader(dataset, sampler=span.numbers(), batch_size=None, collate_fn=_as_it_is, **options)
    try:
        for tried in loader:
            quarantine.count(good=tried.sample is not None, bad=tried.bad)
            if tried.sample is None:
                raise DataError(
                    f"{len(tried.bad)} samples in a row are bad, the last: {tried.bad[-1].reason}; "
                    f"{quarantine.path} lists them"
                )
            yield tried.sample
    finally:
        samples.close()


def _as_it_is(tried: Any) -> Any:
    return tried
