"""A whole benchmark of two films or three, drawn once; and a large one, of which nothing is drawn."""

import pytest

from kangaroo.evaluation.playground import make_playground


@pytest.fixture(scope="session")
def large():
    return make_playground(num_questions=2000)


@pytest.fixture(scope="session")
def films_folder(tmp_path_factory):
    """Where the small benchmark's films are drawn by whichever test comes first."""
    return tmp_path_factory.mktemp("films")
