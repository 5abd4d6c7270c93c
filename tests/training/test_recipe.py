from pathlib import Path

import pytest

from kangaroo.errors import OptionError
from kangaroo.training.recipe import Recipe, Recompute


def read(tmp_path, text):
    (tmp_path / "recipe.toml").write_text(text, encoding="utf-8")
    return Recipe.read(tmp_path / "recipe.toml")


def test_a_recipe_is_read_into_the_types_of_its_fields(tmp_path):
    recipe = read(
        tmp_path,
        """
        out = "runs/mine"
        curriculum = "kangaroo"
        start = "assembled"
        minutes = 9
        recompute = "selective"
        rows_per_pass = 2
        [data]
        image_captions = "data/images"
        """,
    )
    assert recipe == Recipe(
        out=Path("runs/mine"),
        curriculum="kangaroo",
        start=Path("assembled"),
        minutes=9.0,
        recompute=Recompute.SELECTIVE,
        rows_per_pass=2,
        data={"image_captions": Path("data/images")},
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('out = "a"\nworker = 3', r"a recipe has no 'worker'; did you mean 'workers'\?"),
        ("workers = 3", "out is missing; name the folder that the run writes to"),
        ('out = "a"\nworkers = "3"', "workers = '3' is not a whole number"),
        ('out = "a"\nworkers = true', "workers = True is not a whole number"),
        ('out = "a"\nminutes = "x"', "minutes = 'x' is not a number"),
        ("out = 3", "out = 3 is not text in quotes"),
        ('out = "a"\nworkers = -1', "workers is -1; give 0 or more"),
        ('out = "a"\nsamples = [5, 5]', "samples names 2 numbers; give one, or one for each of 5 stages"),
        ('out = "a"\nsamples = [5, 5, 0, 5, 5]', "samples is 0; give 1 or more"),
        ('out = "a"\nsamples = [5, "x"]', r"samples = \[5, 'x'\] is not a whole number, or a list of them"),
        ('out = "a"\nrows_per_pass = 0', "rows_per_pass is 0; give 1 or more"),
        ('out = "a"\nutilisation = 1.5', "utilisation is 1.5; give a share above 0, at most 1"),
        ('out = "a"\nrecompute = "some"', "recompute = 'some' is not one of none, selective, full"),
        ('out = "a"\ncurriculum = "joe"', "no curriculum is called 'joe'; known: kangaroo, joey, tiny"),
        ('out = "a"\ndata = 3', "data = 3 is not a table of paths"),
        (
            'out = "a"\ncurriculum = "kangaroo"\n[data]\nimage_caption = "x"',
            r"\[data\] the curriculum 'kangaroo' has no 'image_caption'; did you mean 'image_captions'\?",
        ),
        ('out = "a"\n[data]\nmine = "x"', r"\[data\] the curriculum 'joey' has no 'mine'; it takes no such names"),
        ("out = ", "not a recipe"),
        ("out = " + "[" * 5000, "not a recipe"),
        ('out = ""', "out = '' is no path"),
        ('out = "~nobodyhere/runs"', "there is no such user"),
        ('out = "a"\ngpu_teraflops = 0', "gpu_teraflops is 0; give more than 0"),
        ('out = "a"\ngpu_teraflops = nan', "gpu_teraflops is nan; give more than 0"),
        ('out = "a"\nminutes = nan', "minutes is nan; give 0 or more, or leave it out"),
        ('out = "a"\nminutes = -3', "minutes is -3; give 0 or more, or leave it out"),
        ('out = "a"\nseed = -1', "seed is -1; give 0 or more, less than 2"),
        (f'out = "a"\nseed = {1 << 63}', "give 0 or more, less than 2"),
        ('out = "a"\ndevice = "mps"', "device is 'mps'; give cpu, cuda, or cuda:1"),
        ('out = "a"\ncurriculum = "kangaroo"\nprobe_every = 2', "image-pretraining has none of; leave it out"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_said_with_the_file_and_the_remedy(tmp_path, text, complaint):
    with pytest.raises(OptionError, match=complaint) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "recipe.toml") in str(caught.value)


def test_stages_see_as_many_samples_as_the_recipe_says(tmp_path):
    def samples(line):
        return [stage.samples for stage in read(tmp_path, f'out = "a"\ncurriculum = "tiny"\n{line}').stages]

    assert samples("") == [12] * 5
    assert samples("samples = 3") == [3] * 5
    assert samples("samples = [1, 2, 3, 4, 5]") == [1, 2, 3, 4, 5]


def test_a_folder_of_the_user_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(tmp_path, 'out = "~/runs"').out == tmp_path / "runs"


@pytest.mark.parametrize("path", sorted(Path("recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_the_gpus_that_a_recipe_reckons_with_can_share_its_rows(path):
    if path.stem == "curate":
        return
    recipe = Recipe.read(path)
    for stage in recipe.stages:
        recipe.check_shared(stage, recipe.gpus)


@pytest.mark.parametrize(
    ("num_gpus", "context_gpus", "complaint"),
    [
        (7, 3, "context_gpus = 3 does not divide 7 GPUs"),
        (6, 2, "16 rows in a step, which 6 GPUs, 2 to a row, cannot share evenly"),
        (3, 3, "rows of 16384 tokens, which context_gpus = 3 does not divide"),
    ],
)
def test_gpus_that_cannot_share_a_stages_rows_are_refused(num_gpus, context_gpus, complaint):
    recipe = Recipe(out=Path("out"), context_gpus=context_gpus)
    with pytest.raises(OptionError, match=complaint):
        recipe.check_shared(recipe.stages[0], num_gpus)


def test_a_recipe_that_is_not_there_points_to_the_examples(tmp_path):
    with pytest.raises(OptionError, match="no such recipe; recipes/ holds examples"):
        Recipe.read(tmp_path / "nothing.toml")


@pytest.mark.parametrize(("text", "span"), [(None, (1, 5)), ("3", (3, 3)), ("3-5", (3, 5)), ("1-1", (1, 1))])
def test_stages_are_named_by_number_or_span(text, span):
    assert Recipe(out=Path("out")).span(text) == span


@pytest.mark.parametrize("text", ["0", "6", "5-3", "2-9", "-3", "a", "", "1-", "9" * 5000])
def test_stages_that_do_not_exist_are_refused(text):
    with pytest.raises(OptionError, match="names none of stages 1-5; give one, such as 3, or a span, 3-5"):
        Recipe(out=Path("out")).span(text)
