"""What users hold on to changes only on purpose: `make surface` after a change, and tell it in CHANGELOG.md."""

import importlib

from surface import NAMES, OPTIONS, cli_options, public_names

import kangaroo


def test_the_public_names_are_the_frozen_ones():
    assert public_names() == NAMES.read_text().splitlines()


def test_the_verbs_and_options_are_the_frozen_ones():
    assert cli_options() == OPTIONS.read_text().splitlines()


def test_every_public_name_is_there_and_lives_in_the_home_that_is_said():
    for name in kangaroo.__all__:
        home = importlib.import_module(kangaroo._HOMES[name])
        assert getattr(kangaroo, name) is getattr(home, name)
