"""Conversions of folders in the published layout, as the tests of them ask for."""

import pytest

from kangaroo.errors import ModelError
from kangaroo.release.convert import plan_conversion

PATCHIFY, DEEP = "patchify_conv.weight", "mm_projector.2.weight"


def convert(folder, out, **options):
    plan = plan_conversion(folder, **options)
    plan.write(out)
    return plan


def why(folder, out, **options):
    """Convert what cannot be converted, and return the one line that says why. Nothing is left."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(ModelError) as caught:
        convert(folder, out, **options)
    assert sorted(out.parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)
