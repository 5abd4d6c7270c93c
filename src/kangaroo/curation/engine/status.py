"""Say in words how a curation run stands, from its ledger and tables alone."""

from pathlib import Path

from kangaroo.curation.engine.layout import Layout
from kangaroo.curation.engine.ledger import CurationError, Ledger, State
from kangaroo.curation.engine.pipeline import Pipeline
from kangaroo.curation.engine.recipe import Recipe
from kangaroo.curation.engine.table import Verdicts, what_if


def status(recipe: Recipe, parts: Pipeline) -> str:
    """Return how far each step is, what failed, and what the rules keep.

    Raises:
        CurationError: Nothing ran there yet.
    """
    at = Layout(out=recipe.out)
    with opened(at) as ledger:
        cut = ledger.counts(parts.signatures["cut"])
        num_clips = ledger.num_clips(cut=parts.signatures["cut"])
        names = ("probe", "cut", *(step.name for step in (*parts.measuring, *parts.asking)))
        wide = max(map(len, names))
        lines = [f"{'step':{wide}} {'done':>9} {'quarantined':>12} {'blocked':>8} {'pending':>8}"]
        copies = ledger.num_copies()
        totals = {"probe": ledger.num_videos(), "cut": ledger.num_contents()}
        for name in names:
            counts = cut if name == "cut" else ledger.counts(parts.signatures[name])
            done, bad, blocked = (counts.get(state, 0) for state in State)
            total = totals.get(name, num_clips)
            pending = f"{max(0, total - done - bad - blocked):,}" if name not in _asking(parts) else "-"
            lines.append(f"{name:{wide}} {done:9,} {bad:12,} {blocked:8,} {pending:>8}")
    if copies:
        lines.append(f"note: {copies:,} files hold the same video as another file, which stands for them")
    if at.scores.exists():
        lines += ["", told(what_if(at.scores, parts.rules, recipe.keep))]
    return "\n".join(lines)


def told(verdicts: Verdicts) -> str:
    """Return what rules make of all clips."""
    share = verdicts.kept / verdicts.total if verdicts.total else 0.0
    lines = [
        f"{verdicts.kept:,} of {verdicts.total:,} clips are kept ({share:.1%}), "
        f"{verdicts.kept_s / 3600:.2f} of {verdicts.total_s / 3600:.2f} hours"
    ]
    for name, count in verdicts.dropped.items():
        unmeasured = verdicts.unmeasured[name]
        lines.append(
            f"  {name:12} drops {count:9,}, {verdicts.alone[name]:9,} of them alone"
            + (f"; {unmeasured:,} were not measured" if unmeasured else "")
        )
    return "\n".join(lines)


def retry(recipe: Recipe, parts: Pipeline) -> int:
    """Make everything that was blocked or quarantined pending again, and return how many units that are.

    Raises:
        CurationError: Nothing ran there yet.
    """
    with opened(Layout(out=recipe.out)) as ledger:
        return sum(
            ledger.forget(signature, state)
            for signature in parts.signatures.values()
            for state in (State.BLOCKED, State.QUARANTINED)
        )


def opened(at: Layout) -> Ledger:
    """Return the ledger of a run that is there.

    Raises:
        CurationError: Nothing ran there yet.
    """
    if not Path(at.ledger).exists():
        raise CurationError(f"{at.out}: nothing ran there yet; `kangaroo curate RECIPE.toml` starts it")
    return Ledger(at.ledger)


def _asking(parts: Pipeline) -> set[str]:
    return {step.name for step in parts.asking}
