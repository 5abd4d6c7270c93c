"""After `import kangaroo.hf`, transformers loads, prompts and generates by its own names alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    AutoModelForMultimodalLM,
    AutoProcessor,
    BatchFeature,
)

import kangaroo.hf
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.model.layout import VisualToken
from kangaroo.model.presets import tiny
from kangaroo.video.source import VideoSource


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_processor: KangarooProcessor) -> Path:
    """A folder as `save_pretrained` leaves it."""
    folder = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    network = kangaroo.hf.KangarooForConditionalGeneration(tiny(vocab_size=len(tiny_processor.tokenizer)))
    network.save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


def test_every_auto_class_finds_its_own(folder: Path) -> None:
    assert type(AutoConfig.from_pretrained(folder)) is kangaroo.hf.KangarooConfig
    assert type(AutoModel.from_pretrained(folder)) is kangaroo.hf.KangarooModel
    assert type(AutoProcessor.from_pretrained(folder)) is KangarooProcessor
    for auto in (AutoModelForImageTextToText, AutoModelForMultimodalLM):
        assert type(auto.from_pretrained(folder)) is kangaroo.hf.KangarooForConditionalGeneration


def ask(processor: KangarooProcessor, question: str) -> BatchFeature:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 40, 60, 3), dtype=np.uint8)
    film = VideoSource.from_arrays(pixels, fps=2.0)
    messages = [{"role": "user", "content": [{"type": "video", "video": film}, {"type": "text", "text": question}]}]
    return processor.apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )


def test_a_question_is_answered_the_transformers_way(folder: Path) -> None:
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    inputs = ask(processor, "How many shapes?")
    answer = model.generate(**inputs, max_new_tokens=6, do_sample=False, pad_token_id=1)
    assert answer.shape[1] > inputs["input_ids"].shape[1]
    spoken = processor.decode(answer[0, inputs["input_ids"].shape[1] :])
    assert not any(token in spoken for token in VisualToken)


def test_pixels_may_be_cast_while_times_stay_exact(folder: Path) -> None:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16).eval()
    inputs = ask(AutoProcessor.from_pretrained(folder), "What happens?").to(torch.bfloat16)
    assert inputs["pixel_values_videos"].dtype == torch.bfloat16
    assert inputs["video_times_s"].dtype == torch.float32
    assert model(**inputs).logits.isfinite().all()


def test_importing_again_changes_nothing() -> None:
    import importlib

    importlib.reload(kangaroo.hf)
    assert AutoConfig.for_model("kangaroo").model_type == "kangaroo"
