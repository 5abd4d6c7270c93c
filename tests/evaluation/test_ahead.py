"""Films of a benchmark are read ahead of their questions, which changes no answer."""

import pytest
from answerers import Scripted
from running import knowing, questions, run

from kangaroo.chat.answerer import Sampling
from kangaroo.evaluation.asking import Pace
from kangaroo.evaluation.table import BENCHMARKS

pytestmark = pytest.mark.usefixtures("measured_once")


@pytest.mark.parametrize("name", BENCHMARKS)
@pytest.mark.parametrize("batch", [1, 4])
def test_films_are_read_ahead_of_their_questions_and_no_answer_differs(name, batch, published, tmp_path):
    known = knowing(name, questions(name, published[name], tmp_path))
    alone = run(known, name, published[name], tmp_path / "alone")
    prepared = set()

    class Reading(Scripted):
        def prepare(self, conversation, sampling=Sampling()):
            prepared.update(str(video.source.value).rsplit("/", 1)[-1] for video in conversation.videos)

    def reply(text, film):
        assert film in prepared
        return known.reply(text, film)

    pace = Pace(batch=batch, workers=2)
    ahead = run(Reading(reply, name="knowing"), name, published[name], tmp_path / "ahead", pace=pace)
    for key in ("score", "groups", "outcomes", "failures"):
        assert ahead[key] == alone[key]
