"""Make joey's tokenizer from what the playground says: a maintainers' script, since weights belong to one tokenizer.

python -m kangaroo.training.tokenizer src/kangaroo/joey
"""

import random
import sys
from collections.abc import Iterator

from kangaroo.dialogue.tokenizer import train_tokenizer
from kangaroo.playground.rounds import Mixture, training_rounds
from kangaroo.playground.script import make_film
from kangaroo.playground.vocabulary import common_sprites, sprites

VOCAB_SIZE = 2048
_NUM_FILMS = 6000


def playground_texts(num_films: int) -> Iterator[str]:
    """Yield what is said about so many films, and every sprite's name."""
    mixture = Mixture(num_rounds=10, describe_share=1.0)
    for seed in range(num_films):
        rounds = training_rounds(make_film(seed), random.Random(seed), mixture)
        yield from (text for one in rounds for text in (one.question, one.answer))
    for _ in range(40):
        yield from (f" {sprites()[slug].name.en}" for slug in common_sprites())


if __name__ == "__main__":
    train_tokenizer(playground_texts(_NUM_FILMS), vocab_size=VOCAB_SIZE).save_pretrained(sys.argv[1])
