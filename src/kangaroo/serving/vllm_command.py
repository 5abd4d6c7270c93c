"""The `vllm serve` command of a model, its limits computed from what films cost in this model's context."""

import json
from pathlib import Path
from typing import Any

from kangaroo.chat.load import read_settings
from kangaroo.errors import OptionError
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.layout import VisualLayout
from kangaroo.video.sampler import FrameSampler

# what stays free for words when a film takes the rest: a question and the 512 tokens of an answer
WORDS = 1024
_STEP = 1024


def max_frames(layout: VisualLayout, context_tokens: int) -> int:
    """Return the most frames of a film that a context holds beside words: at least one group."""
    return max(layout.kernel[0], layout.most_frames(context_tokens - WORDS))


def serve_command(
    folder: Path, *, name: str | None = None, context_tokens: int | None = None, gpus: int = 1
) -> list[str]:
    """Return the command that serves a model's folder with vLLM, ready for a shell.

    >>> serve_command(Path("joey"))[:5]
    ['vllm', 'serve', 'joey', '--served-model-name', 'joey']

    Args:
        folder: Holds the model, its processor beside it.
        name: What clients call the model; None for the folder's name.
        context_tokens: The most tokens of a prompt and its answer; None for the most the model was made for.
        gpus: How many GPUs share each layer of the language model.

    Raises:
        ModelError: The folder is not whole.
        OptionError: The context is longer than the model's, or too short for a film; the GPUs cannot share its heads.
    """
    saved = read_settings(folder, "processor_config.json")
    read_settings(folder, "config.json")  # tells what is missing in one line, which transformers does not
    text = KangarooConfig.from_pretrained(folder).text_config
    video = saved.get("video_processor", {})
    layout = VisualLayout.from_dict(saved.get("film_layout", {}), image_size_px=video["size"]["height"])
    sampler = FrameSampler.from_dict(video.get("frame_sampler", {}))
    context = _context(context_tokens, longest=text.max_position_embeddings, layout=layout)
    most_frames = min(sampler.num_frames or sampler.max_frames, max_frames(layout, context))
    fewest_frames = min(sampler.num_frames or sampler.min_frames, most_frames)
    # a film passes the vision tower as one, so one step should take the longest
    batch = -(-(layout.num_tokens(most_frames) + WORDS) // _STEP) * _STEP
    command = ["vllm", "serve", str(folder), "--served-model-name", name or folder.resolve().name]
    command += ["--max-model-len", str(context), "--max-num-batched-tokens", str(batch)]
    films = (context - WORDS) // layout.num_tokens(fewest_frames)
    command += ["--limit-mm-per-prompt", json.dumps({"video": films})]
    if gpus != 1:
        command += ["--tensor-parallel-size", str(_checked(gpus, text))]
    return command


def _context(wanted: int | None, *, longest: int, layout: VisualLayout) -> int:
    context = longest if wanted is None else wanted
    if context > longest:
        raise OptionError(f"the context is {context:,} tokens, but the model was made for {longest:,}; ask for fewer")
    if layout.most_frames(context - WORDS) == 0:
        least = layout.num_tokens(1) + WORDS
        raise OptionError(f"a context of {context:,} tokens holds no film beside words; give {least:,} or more")
    return context


def _checked(gpus: int, text: Any) -> int:
    """Return the number of GPUs if each can have a whole part of every layer."""
    heads, kv_heads, width = text.num_attention_heads, text.num_key_value_heads, text.intermediate_size
    fits = [n for n in range(1, heads + 1) if heads % n == width % n == 0 and 0 in (kv_heads % n, n % kv_heads)]
    if gpus not in fits:
        raise OptionError(
            f"{gpus} GPUs cannot share {heads} attention heads over {kv_heads} of keys and an MLP of {width:,}; "
            f"give one of {', '.join(map(str, fits))}"
        )
    return gpus
