"""A quick look at what a model in training can do: lettered questions about drawn test films, by family.

Frames come straight from the renderer and the letter is read off one forward pass; `kangaroo evaluate` measures
properly, from files and by generation.
"""

import random
from collections import defaultdict

import torch

from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.playground.film import Film
from kangaroo.playground.questions import CHOICE_FAMILIES, questions
from kangaroo.playground.rounds import LETTERS, Round, in_words, options_for, with_options
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import LETTER_ONLY, unheard
from kangaroo.training.batches import Painter, PlaygroundBatches
from kangaroo.training.loop import last_states


def lettered_rounds(seed: int, duration_s: float, language: Language) -> list[Round]:
    """Return one lettered round in unheard words for each family that a test film of this seed can answer."""
    rng = random.Random(f"probe {seed}")
    film = make_film(seed, split=Split.TEST, duration_s=duration_s)
    found = questions(film, rng)
    rng.shuffle(found)
    rounds = []
    for family in CHOICE_FAMILIES:
        question = next((one for one in found if one.family is family and len(one.wrong) >= 3), None)
        if question is None:
            continue
        words = in_words(question, rng.choice(unheard(question.template, language)), language)
        letter = rng.randrange(4)
        asked = with_options(words, options_for(question, letter), language, LETTER_ONLY[language][0])
        rounds.append(Round(family=family, question=asked, answer=LETTERS[letter], language=language))
    return rounds


@torch.no_grad()
def probe(
    model: KangarooForConditionalGeneration,
    batches: PlaygroundBatches,
    painter: Painter,
    *,
    num_frames: int,
    num_films: int,
) -> dict[str, float]:
    """Return the share right per family, over all of them (`mean`), and per language."""
    device = next(model.parameters()).device
    right: dict[str, list[bool]] = defaultdict(list)
    least_s = batches.stage.films.min_duration_s if num_frames == 16 else num_frames - 0.4
    for start in range(0, num_films, 32):
        seeds = range(start, min(start + 32, num_films))
        films: list[Film] = []
        rows: list[tuple[int, Round]] = []
        for seed in seeds:
            duration_s = random.Random(seed).uniform(least_s, num_frames + 0.4)
            film = make_film(seed, split=Split.TEST, duration_s=duration_s)
            language = tuple(Language)[seed % 2]
            for one in lettered_rounds(seed, duration_s, language):
                rows.append((len(films), one))
            films.append(film)
        batch = batches.collate(films, [(film, [one]) for film, one in rows], num_frames)
        pixels = painter.normalise(painter.draw(batch)).float()
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            hidden = last_states(model, pixels, batch)
            each = torch.arange(len(rows))
            speaker, position = batch.spoken
            letter = position[torch.searchsorted(speaker, each)]  # what the assistant says first
            states = hidden[each.to(device), letter.to(device) - 1]
            predicted = model.lm_head(states).argmax(dim=-1).cpu()
        expected = batch.input_ids[each, letter]
        for (_, one), hit in zip(rows, (predicted == expected).tolist(), strict=True):
            right[one.family].append(hit)
            right[f"language {one.language}"].append(hit)
    shares = {name: sum(hits) / len(hits) for name, hits in sorted(right.items())}
    families = [shares[family] for family in CHOICE_FAMILIES if family in shares]
    return {**shares, "mean": sum(families) / len(families)}
