"""Captions as captioners would have said them, for what comes after."""

from kangaroo.curation.words.asking import Cost
from kangaroo.curation.words.captioning import Captions, FrameCaption, refine_captions
from kangaroo.playground.vocabulary import Language


def captions(name, *said, language=Language.EN, cut_off=False):
    """One caption for each key frame, ten seconds apart."""
    frames = tuple(FrameCaption(time_s=10.0 * place, said=text, is_cut_off=cut_off) for place, text in enumerate(said))
    return Captions(
        captioner=name,
        model=name,
        language=language,
        frames=frames,
        cost=Cost(prompt_tokens=1, new_tokens=1, num_tries=len(said)),
    )


def told(name, *said, language=Language.EN):
    return refine_captions(captions(name, *said, language=language))
