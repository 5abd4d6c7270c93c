"""A model's folder becomes one for the hub: it loads where this package is not installed, and says what it is."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from kangaroo.chat.load import check_whole, find_folder, read_config, read_settings
from kangaroo.errors import ModelError
from kangaroo.release.card import model_card
from kangaroo.release.model import expected_shapes, listed, refuse_existing, whole_folder
from kangaroo.release.reading import Checkpoint
from kangaroo.release.remote_code import auto_map, code_files

_KEPT = (".json", ".jinja")
_OWN = "training.json"  # names folders of the machine that trained; the card tells the rest
_CLASSES_NAMED = ("config.json", "processor_config.json")


def export(model: str | Path, out: Path, *, results: Sequence[Path] = ()) -> None:
    """Write a folder with weights, settings, code and a model card.

    Args:
        model: `joey`, a folder, or a hub id.
        out: Must not be there yet.
        results: Folders that `kangaroo evaluate` wrote; their reports become part of the card.

    Raises:
        ModelError: The model is not whole, a folder holds no results, `out` is there, or it cannot be written.
    """
    refuse_existing(out)
    folder = find_folder(model)
    check_whole(folder)
    weights = _checked(folder)
    reports = [_report(place) for place in results]
    kept = (path for path in folder.iterdir() if path.suffix in _KEPT and path.name != _OWN and path.is_file())
    files = sorted([*kept, *weights])
    with whole_folder(out, num_bytes=sum(path.stat().st_size for path in files)) as unfinished:
        for path in files:
            shutil.copyfile(path, unfinished / path.name)
        for name in _CLASSES_NAMED:
            settings = {**read_settings(folder, name), "auto_map": auto_map()}
            (unfinished / name).write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        for name, text in code_files().items():
            (unfinished / name).write_text(text, encoding="utf-8")
        card = model_card(folder, name=out.expanduser().absolute().name, reports=reports)
        (unfinished / "README.md").write_text(card, encoding="utf-8")


def _checked(folder: Path) -> tuple[Path, ...]:
    """Return the files of the weights, which are all there and of the shapes that config.json makes."""
    checkpoint, expected = Checkpoint.of_folder(folder, pickled=False), expected_shapes(read_config(folder))
    found = {name: spec.shape for name, spec in checkpoint.specs.items()}
    if wrong := [f"{name} {list(shape)}" for name, shape in expected.items() if found.get(name) != shape]:
        raise ModelError(f"{folder}: {len(wrong)} weights are missing or do not fit its config: {listed(wrong)}")
    return checkpoint.files


def _report(place: Path) -> str:
    try:
        return (place / "report.md").read_text(encoding="utf-8")
    except OSError:
        raise ModelError(f"{place}: holds no report.md; give a folder that kangaroo evaluate wrote") from None
