"""What the ledger knows of clips and files, by the names of a pipeline's steps."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.ledger import Ledger, State, Unit
from kangaroo.curation.engine.pipeline import Pipeline, Results
from kangaroo.curation.engine.step import Step

Units = Mapping[str, Unit | None]


class Known:
    """What a run finds recorded."""

    def __init__(self, ledger: Ledger, parts: Pipeline) -> None:
        self.ledger, self.parts = ledger, parts

    def units(self, clip: Clip, steps: Iterable[Step]) -> Units:
        """Return what came of each step on a clip; None of what is still to do."""
        return {step.name: self.ledger.unit(self.parts.signatures[step.name], clip.id) for step in steps}

    def results(self, clip: Clip) -> Results:
        """Return what all steps found out about a clip."""
        return done(self.units(clip, self.parts.steps))

    def probed(self, path: Path) -> Mapping[str, Any]:
        """Return what was found out about a file that has clips."""
        found = self.ledger.probed(str(path), signature=self.parts.signatures["probe"])
        assert found is not None, "clips are of probed files"
        told: dict[str, Any] = json.loads(found)
        return told


def done(units: Units) -> dict[str, Any]:
    """Return the results of the steps that are done."""
    return {name: json.loads(unit.told) for name, unit in units.items() if unit and unit.state is State.DONE}
