"""What a benchmark asks is found in what curation writes, and the words that everybody asks with are not."""

import pytest

from kangaroo.curation.words.leaks import ORDERS, LeakSettings
from kangaroo.data.fingerprints import Fingerprints, Round
from kangaroo.errors import OptionError
from kangaroo.playground.vocabulary import Language
from kangaroo.playground.wording import LETTER_ONLY

ASKED = "Which object does the purple giraffe bump into after it leaves the kitchen?\nA. Chair\nB. Bed\n"
ORDER = LETTER_ONLY[Language.EN][0]
PRINTS = Fingerprints.of("exam", films=[], rounds=[Round(ASKED + ORDER, "A")], without=ORDERS)


@pytest.mark.parametrize(
    "leak",
    [
        Round(ASKED, "A"),
        Round("WHICH object does the purple giraffe bump into, after it leaves the kitchen? A) Chair B) Bed", "A."),
        Round("Tell me: which object does the purple giraffe bump into after it leaves the kitchen?", "No idea"),
    ],
)
def test_a_question_of_the_benchmark_is_found_however_it_is_dressed(leak):
    assert PRINTS.asks([Round("What happens?", "A dog runs."), leak], without=ORDERS) == leak


def test_another_question_in_the_same_form_is_no_leak():
    other = f"Which object does the dog bump into?\nA. Chair\nB. Bed\n{ORDER}"
    assert PRINTS.asks([Round(other, "A"), Round("What happens?", "Chair")], without=ORDERS) is None


@pytest.mark.parametrize("values", [{"share": 0.0}, {"share": 1.5}, {"bits": -1}, {"bits": 32}])
def test_impossible_settings_are_refused(values):
    with pytest.raises(OptionError, match=next(iter(values))):
        LeakSettings(**values)
