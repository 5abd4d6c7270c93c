"""What is said in a film, as a prompt holds it. Imports without torch."""

from kangaroo.evaluation.benchmark import Question, Rules
from kangaroo.evaluation.dataset import Dataset
from kangaroo.video.source import VideoSource
from kangaroo.video.subtitles import read_subtitles, subtitles_text

_MOMENTS = 32


def spoken_in(question: Question, source: VideoSource, data: Dataset, rules: Rules) -> str:
    """Return a film's subtitles, empty where it has none or none are asked for.

    Ours are all lines with their times. The others take the lines shown at 32 moments spread from the first to the
    last second, without times, as lmms-eval does by default (in no certain order; here in that of the film).

    Raises:
        VideoError: The film or its subtitles cannot be read.
    """
    if not question.subtitles or not data.has(question.subtitles):
        return ""
    lines = read_subtitles(data.file(question.subtitles))
    if rules is Rules.STRICT:
        return subtitles_text(lines)
    last_s = source.open().duration_s
    moments = [last_s * place / (_MOMENTS - 1) for place in range(_MOMENTS)]
    return "\n".join(line.text for line in lines if any(line.start_s <= moment < line.end_s for moment in moments))
