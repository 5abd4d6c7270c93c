"""A clip's kind comes from its caption's words or from a model's word; what is unclear is other."""

import pytest
from talking_endpoint import talking

from kangaroo.curation.words.asking import ModelSettings, open_asker
from kangaroo.curation.words.categories import OTHER, Category, CategorySettings, category_of
from kangaroo.errors import OptionError


@pytest.mark.parametrize(
    ("caption", "category"),
    [
        ("A dog runs after two cats on a street.", "animals"),
        ("Cars and trucks wait. A man walks by.", "vehicles"),
        ("红色六边形变成粉色。", "drawings"),
        ("一个男人在厨房里做饭，旁边有水果和面包。", "food"),
        ("Something.", OTHER),
        ("", OTHER),
    ],
)
def test_words_of_a_caption_point_to_its_kind(caption, category):
    assert category_of(caption).name == category


@pytest.mark.parametrize(("said", "category"), [("Animals.", "animals"), ("food or animals", OTHER), ("?", OTHER)])
def test_a_model_says_one_of_the_words_or_the_clip_is_other(said, category):
    with talking(lambda _: said) as talk:
        settings = CategorySettings(model=ModelSettings(name="far", endpoint=talk.url))
        named = category_of("A dog eats.", settings, open_asker(settings.model))
        assert (named.name, named.cost.new_tokens) == (category, 3)
    assert "people, animals, sport" in talk.asked[0]["messages"][0]["content"][0]["text"]


def test_impossible_categories_are_refused():
    one = Category(name="dogs", words=("dog",))
    for wrong in ((one, one), (Category(name=OTHER, words=("dog",)),), (Category(name="dogs"),)):
        with pytest.raises(OptionError, match="category"):
            CategorySettings(categories=wrong)
