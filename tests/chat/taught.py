"""A tiny network that has learned a few answers by heart, so that equality is tested on confident words and real ends.

Axes: frame, height, width.
"""

from pathlib import Path

import numpy as np
import torch

from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.presets import tiny
from kangaroo.video.source import VideoSource
from kangaroo.video.write import write_video

FIRST, SECOND = "What happens in the film?", "一共有几个形状？"
RED, BLUE = (200, 30, 30), (30, 30, 200)
ANSWERS = {
    (RED, FIRST): "A red circle moves to the left, then a blue star comes in.",
    (RED, SECOND): "两只鹅和一条龙。",  # characters that the tokenizer never saw take three tokens each
    (BLUE, FIRST): "一个红色的圆形向左移动，然后蓝色的星星出现了。",
    (BLUE, SECOND): "There are 3. The answer is B.",
}
_NUM_EPOCHS = 80


def colour_pixels(colour, num_frames: int = 6) -> np.ndarray:
    """A film of one colour that grows darker."""
    shades = np.linspace(1.0, 0.6, num_frames)[:, None, None, None]
    return (np.array(colour) * shades * np.ones((1, 56, 56, 1))).astype(np.uint8)


def film(colour, num_frames: int = 6) -> Video:
    """The same at hand, two frames a second."""
    return Video(VideoSource.from_arrays(colour_pixels(colour, num_frames), fps=2.0))


def write_film(path: Path, colour, num_frames: int = 6) -> Path:
    """The same as a file."""
    write_video(path, colour_pixels(colour, num_frames), fps=2.0)
    return path


def lessons() -> list[Conversation]:
    """Both questions about both films, in both orders."""
    said = []
    for colour in (RED, BLUE):
        for one, other in ((FIRST, SECOND), (SECOND, FIRST)):
            begun = Conversation().ask(one, film(colour)).reply(ANSWERS[colour, one])
            said.append(begun.ask(other).reply(ANSWERS[colour, other]))
    return said


def teach(processor: KangarooProcessor) -> KangarooForConditionalGeneration:
    """Train a tiny network until it knows its lessons."""
    torch.manual_seed(0)
    model = KangarooForConditionalGeneration(tiny(vocab_size=len(processor.tokenizer)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    batches = []
    for lesson in lessons():
        frames = processor.read(processor.plan(lesson.ask("."), context_tokens=4096))
        encoded = processor.encode(lesson, frames, generation_prompt=False)
        ids, spoken = torch.tensor([encoded.input_ids]), torch.tensor([encoded.assistant_mask])
        flat = processor.pixels(frames)
        batches.append((ids, ids.masked_fill(~spoken, -100), flat))
    for _ in range(_NUM_EPOCHS):
        for ids, labels, (pixels, times_s) in batches:
            loss = model(
                input_ids=ids, labels=labels, pixel_values_videos=pixels[None], video_times_s=times_s[None]
            ).loss
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()
