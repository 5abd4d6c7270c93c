"""A quick look at what a model in training can do: lettered questions about drawn test films, by family.

Frames come straight from the renderer and the letter is read off one forward pass; `kangaroo evaluate` measures
properly, from files and by generation.
"""

import random
from collections import defaultdict

import torch

from kangaroo.data.packing import join, lay_out
from kangaroo.dialogue.encoding import Encoder
from kangaroo.dialogue.tokenizer import ChatToken
from kangaroo.model.layout import VisualToken
from kangaroo.playground.film import Film
from kangaroo.playground.questions import CHOICE_FAMILIES, questions
from kangaroo.playground.rounds import LETTERS, Round, in_words, options_for, with_options
from kangaroo.playground.script import Split, make_film
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import LETTER_ONLY, unheard
from kangaroo.training.curriculum import Drawn, Stage
from kangaroo.training.drawn import DrawnFilms
from kangaroo.training.loss import Objective
from kangaroo.training.painter import Painter


def lettered_rounds(film: Film, rng: random.Random, language: Language) -> list[Round]:
    """Return one lettered round in unheard words for each family that a film can answer."""
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
    objective: Objective, encoder: Encoder, stage: Stage, painter: Painter, *, num_films: int
) -> dict[str, float]:
    """Return the share right per family, over all of them (`mean`), and per language.

    Films are as long as the stage's longest drawn ones.
    """
    drawn = max((one for one in stage.data if isinstance(one, Drawn)), key=lambda one: one.most_s)
    # each family's question is a conversation of its own
    room = len(CHOICE_FAMILIES) * stage.context_tokens
    films = DrawnFilms(drawn, stage.sampler, encoder, context_tokens=room)
    right: dict[str, list[bool]] = defaultdict(list)
    for seed in range(num_films):
        duration_s = random.Random(seed).uniform(drawn.least_s, drawn.most_s)
        film = make_film(seed, split=Split.TEST, duration_s=duration_s, sampler=stage.sampler, settings=drawn.films)
        rounds = lettered_rounds(film, random.Random(f"probe {seed}"), tuple(Language)[seed % 2])
        sample = films.about(film, [[one] for one in rounds], number=0)
        ids = encoder.ids
        row = lay_out(
            [sample],
            context_tokens=len(sample),
            pad_id=ids[ChatToken.END_OF_TEXT],
            placeholder_id=ids[VisualToken.PATCH],
        )
        packed = join([row])
        predicted = objective.predict(painter.paint(packed.media, seed=None), packed)
        # of each answer the letter is said first, then its end
        hits = (predicted == packed.targets.to(predicted.device))[::2].tolist()
        assert len(hits) == len(sample.conversations), f"{len(hits)} letters of {len(sample.conversations)} answers"
        for one, hit in zip(rounds, hits, strict=True):
            right[str(one.family)].append(hit)
            right[f"language {one.language}"].append(hit)
    shares = {name: sum(hits) / len(hits) for name, hits in sorted(right.items())}
    families = [shares[family] for family in CHOICE_FAMILIES if family in shares]
    return {**shares, "mean": sum(families) / len(families)}
