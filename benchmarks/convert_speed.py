"""How long the published checkpoint takes to convert and to load, measured on random numbers in its layout.

    python benchmarks/convert_speed.py --layers 32 --out runs [--ask]

`--layers` says how many of the 32 blocks of the language model are written (32: 16.7 GB, which must fit in memory while
it is written here). Conversion runs in a process of its own, so its peak memory is its own. Loading is compared with
reading the same files once into memory, each in a fresh process, after the other has warmed the disk's cache. `--ask`
also asks the loaded network about 160 frames; what it says is noise, and on a CPU takes an hour.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from kangaroo.dialogue.tokenizer import train_tokenizer
from kangaroo.model.configuration import KangarooConfig
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import TokenIds, kangaroo_8b
from kangaroo.release.model import expected_shapes

_CONVERT = "from kangaroo.release.convert import plan_conversion\nplan_conversion({source!r}).write(Path({out!r}))"
_LOAD = """
network = kangaroo.load({out!r}, device={device!r}, dtype=torch.bfloat16).model
# a CPU's weights are only mapped until they are used: touch every page of them
sum(float(weight.detach().flatten()[::2048].float().sum()) for weight in network.parameters())
"""
_ASK = """
import numpy as np
from kangaroo import FrameSampler, Sampling
from kangaroo.video.source import VideoSource
frames = np.random.default_rng(0).integers(0, 255, (160, 64, 64, 3), dtype=np.uint8)
session = kangaroo.load({out!r}, device={device!r}, dtype=torch.bfloat16).chat(
    VideoSource.from_arrays(frames, fps=1.0), sampler=FrameSampler(num_frames=160)
)
answer = session.ask("What happens in the film?", sampling=Sampling(max_new_tokens=16)).read()
assert len(answer.times_s[0]) == 160, answer
assert answer.new_tokens, answer
"""
_MEASURED = """
import json, time
from pathlib import Path
import torch, kangaroo.chat.local, kangaroo.release.convert
def high(name): return int(next(l for l in open("/proc/self/status") if l.startswith(name)).split()[1]) / 1e6
began = time.perf_counter()
{program}
print(json.dumps(dict(seconds=time.perf_counter() - began, peak_gb=high("VmHWM"), device={device!r})))
"""
_READING = "for f in Path({out!r}).glob('*.safetensors'):\n with f.open('rb') as o:\n  while o.readinto(b): pass"


def released_name(ours: str) -> str:
    """Return what the published file calls a tensor of our network; the fold's name is made up."""
    for own, theirs in (
        ("model.language_model.", "model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "mm_projector."),
        ("model.patchify.conv.", "patchify_conv."),
    ):
        if ours.startswith(own):
            return ours.replace(own, theirs, 1)
    return ours


def write_settings(folder: Path, config: KangarooConfig, tokenizer: PreTrainedTokenizerFast, ids: TokenIds) -> None:
    """Write the published repository's other files: a plain Llama's config, a tokenizer that names four tokens."""
    text = config.text_config
    settings = {
        "model_type": "llama",
        "architectures": ["KangarooForCausalLM"],
        "auto_map": {"AutoModelForCausalLM": "modeling_kangaroo.KangarooForCausalLM"},
        **{
            name: getattr(text, name)
            for name in (
                *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
                *("num_key_value_heads", "rms_norm_eps", "tie_word_embeddings"),
            )
        },
        "rope_theta": text.rope_parameters["rope_theta"],
        "rope_scaling": None,
        "max_position_embeddings": 8192,
        "bos_token_id": ids.begin_of_text,
        "eos_token_id": ids.end_of_text,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(settings))
    tokenizer.save_pretrained(folder)


def reserve(tokenizer: PreTrainedTokenizerFast, names: tuple[VisualToken, ...]) -> PreTrainedTokenizerFast:
    """Return a tokenizer in which these names are still Llama 3's reserved slots."""
    text = tokenizer.backend_tokenizer.to_str()
    for number, name in enumerate(names):
        text = text.replace(json.dumps(str(name)), f'"<|reserved_special_token_{number}|>"')
    return PreTrainedTokenizerFast(
        tokenizer_object=type(tokenizer.backend_tokenizer).from_str(text),
        bos_token=tokenizer.bos_token,
        eos_token=tokenizer.eos_token,
    )


def main() -> None:
    """Write, convert, load, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--words", type=int, default=128256, help="rows of the two tables of words")
    parser.add_argument("--out", type=Path, help="where to work; a temporary folder by default")
    parser.add_argument("--ask", action="store_true")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.out) as work:
        source, out = Path(work) / "released", Path(work) / "converted"
        source.mkdir()
        config, ids = kangaroo_8b(), TokenIds()
        config.text_config.num_hidden_layers, config.text_config.vocab_size = options.layers, options.words
        tokenizer = train_tokenizer(["What happens in the film?"], vocab_size=512)
        write_settings(source, config, reserve(tokenizer, (VisualToken.PATCH,)), ids)
        weights = {
            released_name(name): torch.empty(shape, dtype=torch.bfloat16).uniform_(-0.02, 0.02)
            for name, shape in expected_shapes(config).items()
        }
        weights["lm_head.weight"][len(tokenizer) :] = 0  # it says what the tokenizer can tell
        torch.save(weights, source / "pytorch_model.bin")
        size_gb = (source / "pytorch_model.bin").stat().st_size / 1e9
        del weights
        convert = measured(_CONVERT.format(source=str(source), out=str(out)), options.device)
        reading = "b = bytearray(1 << 26)\n" + _READING.format(out=str(out))
        measured(reading, options.device)  # the first warms the disk's cache for both
        read = measured(reading, options.device)
        load = measured(_LOAD.format(out=str(out), device=options.device), options.device)
        rows = [("convert", convert), ("read once", read), (f"load to {options.device}", load)]
        if options.ask:
            rows.append(("load, ask", measured(_ASK.format(out=str(out), device=options.device), options.device)))
    print(f"| checkpoint of {size_gb:.2f} GB, {options.layers} layers | seconds | peak GB |")
    print("|---|---:|---:|")
    for name, one in rows:
        print(f"| {name} | {one['seconds']:.1f} | {one['peak_gb']:.2f} |")
    print(f"| load / read once | {load['seconds'] / read['seconds']:.2f} | |")


def measured(program: str, device: str) -> dict[str, float]:
    """Run a program in a fresh Python and return its seconds, without imports, and its peak memory in GB."""
    code = _MEASURED.format(program=program, device=device)
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
