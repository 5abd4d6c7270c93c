"""How long a GPU waits for a film: decoded, then seen, beside both at once, as an answer does it.

    python benchmarks/overlap_speed.py [--minutes 2] [--repeats 3] [--model 8b] [--device cuda]

160 evenly spread frames of a 1080p H.264 film. `decode` reads them alone, `see` passes frames that are at hand through
the tower and the projector, `both` is what a session waits for before its prompt is read. `8b` is the published size
with random weights in bfloat16; `tiny` shows that this runs.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from cost_of_frames import babbling
from language_speed import seconds
from reading_speed import draw, repeat

from kangaroo.chat.features import FilmReader, Stopwatch
from kangaroo.chat.local import LocalAnswerer
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.model.presets import kangaroo_8b, tiny
from kangaroo.training.start import shipped_tokenizer
from kangaroo.video.frames import Frames
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

FRAMES = 160


def look_at(answerer: LocalAnswerer, source: VideoSource) -> None:
    """Read a film as for an answer; nothing of it was seen before."""
    reader = FilmReader(answerer.model, answerer.processor)
    sampler = FrameSampler(num_frames=FRAMES)
    conversation = Conversation().ask("What happens?", Video(source, sampler=sampler))
    look = reader.plan(conversation, context_tokens=answerer.context_tokens, reserve_tokens=16)
    reader.read(look, Stopwatch())


def main() -> None:
    """Measure and print a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", choices=["8b", "tiny"], default="8b")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    config = kangaroo_8b() if options.model == "8b" else tiny(vocab_size=len(shipped_tokenizer()))
    device = torch.device(options.device)
    answerer = babbling(config, device)
    with TemporaryDirectory() as folder:
        piece, path = Path(folder) / "piece.mp4", Path(folder) / "film.mp4"
        draw(piece)
        repeat(piece, path, length_s=60 * options.minutes)
        source, found = VideoSource(path), list[Frames]()

        def decode() -> None:
            sampler = FrameSampler(num_frames=FRAMES)
            found[:] = [answerer.processor.video_processor.read(source, sampler)]

        decode()
        decode_s = seconds(decode, options.repeats, device)
        # arrays are not decoded, and planned in no time
        at_hand = VideoSource.from_arrays(found[0].pixels, times_s=found[0].times_s)
        look_at(answerer, at_hand)
        see_s = seconds(lambda: look_at(answerer, at_hand), options.repeats, device)
        both_s = seconds(lambda: look_at(answerer, source), options.repeats, device)
    longer = max(decode_s, see_s)
    print(
        f"{FRAMES} frames of {options.minutes:g} minutes: decode {decode_s:.3f} s, see {see_s:.3f} s, "
        f"both {both_s:.3f} s, {both_s / longer:.2f} times the longer, "
        f"{both_s / (decode_s + see_s):.2f} times one after the other"
    )


if __name__ == "__main__":
    main()
