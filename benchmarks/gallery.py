"""Talk to joey about a dozen drawn films and write the page that shows them: frames, both languages, truth beside it.

    python benchmarks/gallery.py

Nothing is picked: the films are those of seeds 1 to 12 of the test split, of 5 to 60 seconds, the questions are drawn
from the film's seed and worded as training never words them, and every answer is on the page. docs/gallery.md and its
pictures are rewritten.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

import kangaroo
from kangaroo.chat.answerer import Sampling
from kangaroo.chat.local import LocalAnswerer
from kangaroo.evaluation.balance import Candidate
from kangaroo.evaluation.films import Films
from kangaroo.evaluation.judge import judge
from kangaroo.evaluation.playground import Item, Part, facts_of, item_about
from kangaroo.playground.film import Film
from kangaroo.playground.questions import Family, Question, questions
from kangaroo.playground.render import Renderer
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language

SEEDS = tuple(range(1, 13))
SECONDS_A_SEED = 5  # the film of seed 1 lasts five seconds, that of seed 12 a minute
PICTURES = "pictures/gallery"
ROUNDS = 4  # a description, then questions of other families
FRAMES, WIDTH_PX, GAP_PX = 6, 150, 6
LONGEST = Sampling(max_new_tokens=640)
PARTS = {Family.DESCRIBE: Part.DESCRIBE, Family.YES_NO: Part.YES_NO}


@dataclass(frozen=True, kw_only=True)
class Round:
    """A question, what was answered, and what that is worth."""

    item: Item
    answer: str

    @property
    def mark(self) -> str:
        """Return whether it is right; of a description how much it tells and how much of it is true."""
        verdict = judge(self.item, self.answer)
        if self.item.part is Part.DESCRIBE:
            return f"tells {100 * verdict.score:.0f} %, {100 * (verdict.truth or 0):.0f} % of it true"
        return "right" if verdict.right else "**wrong**"


def asked_about(film: Film, language: Language) -> Iterator[Item]:
    """Yield the questions of one talk: a description, then one each of families drawn from the seed."""
    rng = random.Random(f"gallery {film.seed} {language}")
    by_family: dict[Family, list[Question]] = {}
    for question in questions(film, rng):
        by_family.setdefault(question.family, []).append(question)
    others = [family for family in by_family if family is not Family.DESCRIBE]
    for family in (Family.DESCRIBE, *rng.sample(others, min(ROUNDS - 1, len(others)))):
        question = rng.choice(by_family[family])
        item = item_about(PARTS.get(family, Part.OPEN), Candidate(0, question), 0, language, rng)
        yield replace(item, facts=facts_of(film, language)) if family is Family.DESCRIBE else item


def talk(answerer: LocalAnswerer, film: Film, path: Path, language: Language) -> list[Round]:
    """Hold one conversation of several rounds."""
    session = answerer.chat(path, sampling=LONGEST)
    return [Round(item=item, answer=session.ask(item.question).read().text) for item in asked_about(film, language)]


def strip(film: Film, path: Path) -> None:
    """Save frames of the film side by side, from its start to its end."""
    times_s = (np.arange(FRAMES) + 0.5) * film.duration_s / FRAMES
    height_px = round(WIDTH_PX / film.aspect)
    pixels = Renderer("cpu").draw(film, times_s, height_px=height_px, width_px=WIDTH_PX).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    apart = np.pad(pixels, ((0, 0), (0, 0), (0, GAP_PX), (0, 0)), constant_values=255)
    Image.fromarray(np.concatenate(list(apart), axis=1)[:, :-GAP_PX]).save(path, quality=80, optimize=True)


def page(talks: dict[Film, list[Round]], model: str) -> str:
    """Return the page as Markdown."""
    every = [one for rounds in talks.values() for one in rounds]
    short = [one for one in every if one.item.part is not Part.DESCRIBE]
    right = sum(judge(one.item, one.answer).right for one in short)
    told = [judge(one.item, one.answer) for one in every if one.item.part is Part.DESCRIBE]
    seeds = [film.seed for film in talks]
    lines = [
        f"# {model} and {len(talks)} films",
        "",
        f"`make gallery` writes this page. Seeds {seeds[0]} to {seeds[-1]} of the playground's test split, "
        f"{SECONDS_A_SEED} s for each unit of the seed; training never shows their look-and-action pairs. Questions "
        "follow from the seed, in words that training never uses. None is picked or left out. Each film is talked "
        "about twice, in English and in Chinese, in rounds of one conversation; the truth is what it was drawn from.",
        "",
        f"**{right} of {len(short)} short answers are right.** Descriptions tell "
        f"{100 * sum(one.score for one in told) / len(told):.0f} % of what happens, and "
        f"{100 * sum(one.truth or 0 for one in told) / len(told):.0f} % of their sentences are true.",
    ]
    for film, rounds in talks.items():
        lines += [
            "",
            f"## Seed {film.seed}: {film.duration_s:g} s",
            "",
            f"![Frames of the film of seed {film.seed}]({PICTURES}/{film.seed:02d}.jpg)",
            "",
            f"| asked | {model} | truth | |",
            "|---|---|---|---|",
            *(
                f"| {_cell(one.item.question)} | {_cell(one.answer)} | {_cell(one.item.expected)} | {one.mark} |"
                for one in rounds
            ),
        ]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def write_gallery(answerer: LocalAnswerer, seeds: tuple[int, ...], folder: Path) -> None:
    """Write `gallery.md` and its pictures into a folder."""
    talks: dict[Film, list[Round]] = {}
    with tempfile.TemporaryDirectory() as drawn, Films(Path(drawn), sampler=answerer.frame_sampler) as films:
        for seed in seeds:
            film = make_film(seed, split=Split.TEST, duration_s=float(SECONDS_A_SEED * seed))
            strip(film, folder / PICTURES / f"{seed:02d}.jpg")
            talks[film] = [one for language in Language for one in talk(answerer, film, films.get(film), language)]
            print(f"seed {seed}: {', '.join(one.mark for one in talks[film])}")
    (folder / "gallery.md").write_text(page(talks, answerer.name), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    write_gallery(kangaroo.load("joey"), SEEDS, parser.parse_args().out)
