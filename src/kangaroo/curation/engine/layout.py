"""Where things are in a run's folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where things are in a run's folder."""

    out: Path

    @property
    def ledger(self) -> Path:
        """The truth."""
        return self.out / "ledger.sqlite"

    @property
    def scores(self) -> Path:
        """A row for each clip."""
        return self.out / "scores.parquet"

    @property
    def decisions(self) -> Path:
        """The same rows with `kept` and `reasons`."""
        return self.out / "decisions.parquet"

    @property
    def records(self) -> Path:
        """Records, with the media in `media` beside them."""
        return self.out / "records.jsonl"

    @property
    def media(self) -> Path:
        """Kept clips."""
        return self.out / "media"

    @property
    def shards(self) -> Path:
        """Records and media again, in WebDataset's tars."""
        return self.out / "shards"

    @property
    def report(self) -> Path:
        """A page that tells all of it."""
        return self.out / "report.html"

    @property
    def pictures(self) -> Path:
        """Of the clips that the page shows."""
        return self.out / "pictures"

    @property
    def quarantine(self) -> Path:
        """What was left out because it is broken, and why."""
        return self.out / "quarantine.jsonl"
