"""The steps that look at a clip, each a function that a worker calls; the detectors stay loaded from clip to clip.

What is measured lies in `measures`; here it meets what a film's decoding shows. Writing, faces and motion are looked
for in the picture without its black bars.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from kangaroo.curation.clip import Clip
from kangaroo.curation.engine.step import Seen, Step
from kangaroo.curation.learned.cuts import LearnedCutter
from kangaroo.curation.measures.areas import Polygon, union_share
from kangaroo.curation.measures.clips import CutFinder, CutSettings, FoundBy
from kangaroo.curation.measures.faces import FaceCover, FaceDetector, FaceSettings, measure_faces
from kangaroo.curation.measures.fingerprint import Fingerprint, fingerprint
from kangaroo.curation.measures.models import CUTS, FACES, TEXT, find_weights
from kangaroo.curation.measures.motion import MotionRule, measure_motion
from kangaroo.curation.measures.technical import Box, Technical, TechnicalRule, find_picture, measure_technical
from kangaroo.curation.measures.text import TextDetector, TextSettings, measure_text, text_mask

Inputs = Mapping[str, Any]


def measuring_steps(
    *, text: TextSettings, faces: FaceSettings, motion: MotionRule, technical: TechnicalRule
) -> tuple[Step, ...]:
    """Return the steps, with their settings."""
    stills, pairs, changes, glances = Seen.STILLS, Seen.PAIRS, Seen.CHANGES, Seen.GLANCES
    return (
        Step(name="picture", version=1, settings=(), needs=(stills,), function=picture),
        Step(
            name="technical",
            version=1,
            settings=technical,
            needs=(stills, changes, "picture"),
            function=technical_of,
        ),
        Step(name="text", version=1, settings=text, needs=(stills, "picture"), function=text_of),
        Step(name="faces", version=1, settings=faces, needs=(stills, "picture"), function=faces_of),
        Step(name="motion", version=1, settings=motion, needs=(pairs, "picture", "text"), function=motion_of),
        Step(name="fingerprint", version=1, settings=(), needs=(glances,), function=fingerprint_of),
    )


def finder_of(settings: CutSettings) -> CutFinder | None:
    """Return the network that finds cuts where it is asked for.

    Raises:
        ModelError: Its weights were not fetched.
    """
    if settings.by is FoundBy.RULES:
        return None
    return LearnedCutter(find_weights(CUTS), settings.network)


def picture(_: Clip, inputs: Inputs, __: Any) -> Box:
    """Find the picture within its black bars."""
    return find_picture(inputs[Seen.STILLS])


def technical_of(_: Clip, inputs: Inputs, rule: TechnicalRule) -> Technical:
    """Measure blackness, stillness, blur and contrast."""
    return measure_technical(inputs[Seen.STILLS], inputs[Seen.CHANGES], picture=Box(**inputs["picture"]), rule=rule)


def text_of(_: Clip, inputs: Inputs, settings: TextSettings) -> dict[str, Any]:
    """Measure what writing covers; where it is and how much there is in each still is kept beside."""
    stills = Box(**inputs["picture"]).crop(inputs[Seen.STILLS])
    found = _text_detector(settings).find(stills)
    shares = [union_share(lines) for lines in found]
    lines = sorted({tuple((round(x, 4), round(y, 4)) for x, y in line) for lines in found for line in lines})
    return {
        **asdict(measure_text(stills, found, settings.rule)),
        "stills": [[float(time_s), share] for time_s, share in zip(stills.times_s, shares, strict=True)],
        "lines": lines,
    }


def faces_of(_: Clip, inputs: Inputs, settings: FaceSettings) -> FaceCover:
    """Measure what faces cover."""
    return measure_faces(_face_detector(settings).find(Box(**inputs["picture"]).crop(inputs[Seen.STILLS])))


def motion_of(_: Clip, inputs: Inputs, rule: MotionRule) -> Any:
    """Measure motion beside the writing; an image has none."""
    pairs = Box(**inputs["picture"]).crop(inputs[Seen.PAIRS])
    if not len(pairs):
        return {}
    height_px, width_px = pairs.pixels.shape[1:3]
    lines: list[Polygon] = [tuple((x, y) for x, y in line) for line in inputs["text"]["lines"]]
    return measure_motion(pairs, masked=text_mask([lines], height_px=height_px, width_px=width_px), rule=rule)


def fingerprint_of(_: Clip, inputs: Inputs, __: Any) -> Fingerprint:
    """Hash two pictures a second."""
    return fingerprint(inputs[Seen.GLANCES])


@cache
def _text_detector(settings: TextSettings) -> TextDetector:
    return TextDetector(find_weights(TEXT), settings)


@cache
def _face_detector(settings: FaceSettings) -> FaceDetector:
    return FaceDetector(find_weights(FACES), settings)
