import pytest

from kangaroo.model.presets import joey, kangaroo_8b
from kangaroo.training.curriculum import CURRICULA, JOEY, KANGAROO, TINY, Drawn, Part, Patchify

# the paper's table: side, most frames, folds, trained, context, samples in millions
TABLE = [
    (224, 1, False, {Part.VISION, Part.PROJECTOR}, 512, 300),
    (224, 8, False, {Part.VISION, Part.PROJECTOR}, 2560, 60),
    (448, 16, True, {Part.VISION, Part.PROJECTOR, Part.PATCHIFY}, 2560, 6.9),
    (448, 64, True, set(Part), 10 * 1024, 2.24),
    (448, 160, True, {Part.PROJECTOR, Part.PATCHIFY, Part.LANGUAGE}, 22 * 1024, 0.7),
]


@pytest.mark.parametrize("number", range(5))
def test_the_stages_are_the_papers(number):
    stage, row = KANGAROO[number], TABLE[number]
    folds = stage.patchify is Patchify.ON
    trained = {part for part, rate in stage.rates if rate > 0}
    seen = (stage.image_size_px, stage.most_frames, folds, trained, stage.context_tokens, stage.samples / 1e6)
    assert seen == row


@pytest.mark.parametrize(("name", "config"), [("kangaroo", kangaroo_8b()), ("joey", joey())])
def test_the_longest_film_of_each_stage_fits_its_context_with_room_for_words(name, config):
    for stage in CURRICULA[name]:
        config.patchify = stage.patchify.value
        film = config.layout(image_size_px=stage.image_size_px).num_tokens(stage.most_frames)
        assert film + 200 <= stage.context_tokens, stage.name


def test_joey_walks_the_same_road_at_half_the_resolution():
    for ours, theirs in zip(JOEY, KANGAROO, strict=True):
        assert (ours.name, ours.sampler, ours.patchify) == (theirs.name, theirs.sampler, theirs.patchify)
        assert ours.image_size_px * 2 == theirs.image_size_px
        assert all(isinstance(one, Drawn) for one in ours.data)
    assert [stage.name for stage in TINY] == [stage.name for stage in KANGAROO]


def test_films_of_a_stage_have_as_many_frames_as_the_paper_says():
    def counts(one):
        return [len(stage.sampler.wanted_times(seconds)) for seconds in (one.least_s, one.most_s)]

    for stage in JOEY[3:]:
        moving = [count for one in stage.data if one.most_s > 1 for count in counts(one)]
        assert min(moving) == 16
        assert max(moving) == stage.most_frames
