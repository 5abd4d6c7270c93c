"""Load a model by name: `joey`, which ships with the package, a folder, or a repository on the Hugging Face hub."""

import json
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kangaroo.errors import KangarooError, ModelError, OptionError

if TYPE_CHECKING:
    import torch

    from kangaroo.chat.kept import KeptFilms
    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.model.configuration import KangarooConfig

JOEY = "joey"


class Quantize(StrEnum):
    """In what precision the language model's matrices are held."""

    NONE = "none"
    INT8 = "int8"


_FILES = ("*.json", "*.jinja", "*.safetensors")
_COPIES = 4  # to a GPU at a time


def load(
    name: str | Path = JOEY,
    *,
    device: "str | torch.device | None" = None,
    dtype: "torch.dtype | None" = None,
    quantize: Quantize | str = Quantize.NONE,
    max_rows: int = 16,
    kept: "KeptFilms | None" = None,
) -> "LocalAnswerer":
    """Load a model, ready to answer.

    >>> kangaroo.load("joey").chat("film.mp4").ask("What happens?").read().text

    Args:
        name: `joey`, a folder, or a hub id such as `owner/name`. Weights load as safetensors only.
        device: None for the GPU where there is one, else the CPU.
        dtype: None for bfloat16 on a GPU and float32 on a CPU, where bfloat16 is hundreds of times slower.
        quantize: `int8` holds the language model's matrices in half of bfloat16's memory, for smaller cards.
        max_rows: How many answers run together; others wait until one ends.
        kept: Where what is seen of films is kept on disk, for who asks about them again; None for nowhere.

    Raises:
        ModelError: There is no such model, or its folder is not whole.
        OptionError: There is no such device here, or no such way to quantise.
    """
    if quantize not in list(Quantize):
        raise OptionError(f"--quantize is {str(quantize)!r}; choose one of {', '.join(Quantize)}")
    folder = find_folder(name)
    check_whole(folder)
    import torch

    from kangaroo.chat.local import LocalAnswerer
    from kangaroo.dialogue.processor import KangarooProcessor

    place = _device(device)
    if dtype is None:
        dtype = torch.float32 if place.type == "cpu" else torch.bfloat16
    with _reading(folder, "the processor's files"):
        processor = KangarooProcessor.from_pretrained(folder)
    network, called = _network(folder, dtype), short_name(name)
    if quantize == Quantize.INT8:
        from kangaroo.model.int8 import hold_in_int8

        hold_in_int8(network, place)
        called += "-int8"  # its answers are another model's
    return LocalAnswerer(_moved(network, place), processor, name=called, max_rows=max_rows, kept=kept)


def find_folder(name: str | Path, *, wanted: Sequence[str] = _FILES) -> Path:
    """Return the folder of a model; where the name is a hub's id, after fetching the `wanted` files.

    Raises:
        ModelError: There is no such folder or repository, or the hub cannot be reached.
    """
    if str(name) == JOEY:
        return Path(str(files("kangaroo"))) / "joey"
    # unlike Path's, these raise nothing, whatever the name
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        return Path(path)
    if os.path.exists(path):
        raise ModelError(f"{name}: a file, not a model's folder; give the folder that holds config.json")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", str(name)):
        raise ModelError(f"no model is called {str(name)!r}; give joey, a folder, or a hub id such as owner/name")
    return _fetch(str(name), wanted)


def read_settings(folder: Path, file: str) -> dict[str, Any]:
    """Return one of a model's JSON files, without loading anything else.

    Raises:
        ModelError: It is missing or damaged.
    """
    try:
        settings = json.loads((folder / file).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{folder}: no model here, {file} is missing; give a folder made by save_pretrained") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder / file}: cannot be read ({_first_line(error)}); fetch the model again") from None
    if not isinstance(settings, dict):
        raise ModelError(f"{folder / file}: holds no settings; fetch the model again")
    return settings


def _fetch(repository: str, wanted: Sequence[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(repository, allow_patterns=list(wanted)))
    except GatedRepoError:
        raise ModelError(f"{repository}: the hub asks for consent; accept its terms there and log in") from None
    except (RepositoryNotFoundError, HFValidationError):
        raise ModelError(
            f"no folder and no repository on the hub is called {repository!r}; give joey, a folder or a hub id"
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"{repository}: no such folder here, and the hub cannot be reached ({type(error).__name__}); "
            "check the name and the network, or give joey"
        ) from None


def check_whole(folder: Path) -> None:
    """Refuse a folder that is no Kangaroo's, or lacks a file.

    Raises:
        ModelError: The message says which.
    """
    _check_kind(folder)
    for file in ("processor_config.json", "tokenizer.json"):
        if not (folder / file).exists():
            raise ModelError(f"{folder}: {file} is missing; save the processor beside the model with save_pretrained")
    if not any(folder.glob("*.safetensors")):
        others = [path.name for suffix in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(suffix)]
        found = f"; {others[0]} is not read, since such files can run code" if others else ""
        raise ModelError(f"{folder}: the weights are missing, expected *.safetensors{found}")


def read_config(folder: Path) -> "KangarooConfig":
    """Return what shape a folder's network has, without its weights.

    Raises:
        ModelError: config.json is missing, damaged, or no Kangaroo's.
    """
    _check_kind(folder)
    from kangaroo.model.configuration import KangarooConfig

    with _reading(folder, "config.json"):
        return KangarooConfig.from_pretrained(folder)


def _check_kind(folder: Path) -> None:
    kind = read_settings(folder, "config.json").get("model_type")
    if kind != "kangaroo":
        raise ModelError(
            f"{folder}: config.json describes a {kind!r} model, not a 'kangaroo'; give a Kangaroo's folder"
        )


def _network(folder: Path, dtype: "torch.dtype") -> Any:
    from kangaroo.model.modeling import KangarooForConditionalGeneration
    from kangaroo.model.pretrained import without_progress_bar

    config = read_config(folder)
    with _reading(folder, "the weights"), without_progress_bar():
        network, report = KangarooForConditionalGeneration.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, in one line
        )
    # transformers would fill these with random numbers and only warn
    wrong = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if wrong:
        raise ModelError(f"{folder}: {len(wrong)} weights are missing or do not fit its config, such as {wrong[0]}")
    return network.eval()


def _moved(network: Any, place: "torch.device") -> Any:
    """Return the network where it is to be. Its weights are only mapped: threads wait for their files side by side."""
    if place.type != "cpu":

        def copy(weight: "torch.Tensor") -> None:
            weight.data = weight.data.to(place)

        with ThreadPoolExecutor(_COPIES) as threads:
            # each weight once, also where two parts share it
            deque(threads.map(copy, network.parameters()), maxlen=0)
    return network.to(place)


@contextmanager
def _reading(folder: Path, what: str) -> Iterator[None]:
    """Turn whatever transformers raises over damaged files into one line; it has no error of its own for that."""
    try:
        yield
    except KangarooError:
        raise
    except Exception as error:
        raise ModelError(f"{folder}: {what} cannot be read ({_first_line(error)}); fetch the model again") from None


def _device(wanted: "str | torch.device | None") -> "torch.device":
    import torch

    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise OptionError(f"device {str(wanted)!r} cannot be used here ({_first_line(error)}); try cpu") from None
    return device


def short_name(name: str | Path) -> str:
    """Return what a model is called: its folder's own name, or its hub id."""
    path = os.path.expanduser(name)
    return Path(path).resolve().name if os.path.isdir(path) else str(name)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
