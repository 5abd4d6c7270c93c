"""Ask an `Answerer` a benchmark's questions and report; a question that fails does not end the run.

Imports without torch.
"""

import hashlib
import logging
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from kangaroo.alone import alone_in
from kangaroo.chat.answerer import Answerer
from kangaroo.dialogue.conversation import Conversation, Video
from kangaroo.errors import OptionError
from kangaroo.evaluation.ahead import Ahead
from kangaroo.evaluation.asking import Asked, OnFailure, Pace, Reply, sampler_of
from kangaroo.evaluation.benchmark import Benchmark, Question, Rules, Way, questions_of
from kangaroo.evaluation.dataset import Dataset
from kangaroo.evaluation.json_files import Line
from kangaroo.evaluation.machine import describe_machine
from kangaroo.evaluation.referee import Referee, put
from kangaroo.evaluation.result_report import BenchmarkReport, in_short, pictures_of
from kangaroo.evaluation.results import judge_all, judge_line
from kangaroo.evaluation.runner import examine
from kangaroo.evaluation.runs import keep_pictures, report_on, write_questions, write_session
from kangaroo.evaluation.score import wilson
from kangaroo.evaluation.spoken import spoken_in
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

logger = logging.getLogger(__name__)

_LONGEST_S = 1e6
Watch = Callable[[int, int, str], None]


class Shown(StrEnum):
    """What a model is shown: the film, or neither it nor its subtitles, so that guessing can be told from seeing."""

    FILM = "film"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Shard:
    """The part of a benchmark that one of several machines asks: `number` of `of`, films whole.

    Raises:
        OptionError: There is no such part.
    """

    number: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise OptionError(f"shard {self.number}/{self.of} does not exist; give 1/{self.of} to {self.of}/{self.of}")

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read `2/8`."""
        number, _, of = text.partition("/")
        if not (number.isdecimal() and of.isdecimal()):
            raise OptionError(f"shard {text!r} is not of the form 2/8")
        return cls(number=int(number), of=int(of))

    def holds(self, question: Question) -> bool:
        """Whether a question is asked here."""
        return zlib.crc32(question.film.encode()) % self.of == self.number - 1


def evaluate_benchmark(
    answerer: Answerer,
    benchmark: Benchmark,
    data: Path | Dataset,
    out: Path,
    *,
    rules: Rules = Rules.STRICT,
    limit: int | None = None,
    shard: Shard = Shard(),
    shown: Shown = Shown.FILM,
    judge: Answerer | None = None,
    pace: Pace = Pace(),
    watch: Watch | None = None,
) -> BenchmarkReport:
    """Ask what was not answered before, and write the report into `out`. A question that fails does not end the run.

    >>> evaluate_benchmark(kangaroo.load("joey"), MVBENCH, Path("MVBench"), Path("runs/mvbench"))

    Args:
        answerer: Who answers, greedily.
        benchmark: What is asked.
        data: The data set as its authors publish it: its folder, or opened.
        out: Where answers and reports go.
        rules: Whose prompts and scores.
        limit: Only the first so many questions.
        shard: Which part of them.
        shown: Whether the film is.
        judge: Who judges what rules cannot; None reads what a judge said of this run before.
        pace: How many are asked at once, and how many films are read ahead.
        watch: Called with the numbers of questions done and to do, and the score so far in words.

    Raises:
        OptionError: The data set is not there, `out` holds another run or another process writes into it, the answerer
            cannot do what the benchmark asks of it, or there is nothing to judge.
    """
    if judge is not None and benchmark.appeals is None:
        raise OptionError(f"{benchmark.name} is scored by rules alone; leave the judge out")
    if benchmark.way is not Way.SAY:
        answerer.score(Conversation().ask("What happens?"), ["A"])  # who cannot says so before the asking
    if limit is not None and limit < 1:
        raise OptionError(f"limit is {limit}; give 1 question or more")
    shelf = data if isinstance(data, Dataset) else Dataset(data, source=benchmark.source, unpacked=out / "unpacked")
    every = questions_of(benchmark, shelf)[:limit]
    questions = [one for one in every if shard.holds(one)]
    if shown is Shown.FILM:
        _tell_missing(questions, shelf)
    tally = _Tally(benchmark, {one.id: one for one in questions}, rules)
    about = {
        "benchmark": benchmark.name,
        "rules": rules,
        "shard": asdict(shard),
        "shown": shown,
        "questions": _digest(every),
    }
    sampler = sampler_of(answerer) or FrameSampler()
    with alone_in(out):
        referee = Referee(out, judge)  # a judge that is not there is told before the asking
        asked = [_asked(benchmark, one, shelf, sampler, rules, shown) for one in questions if not one.fault]
        with Ahead(answerer, asked, pace.workers) as ahead:

            def before(left: Sequence[Asked]) -> None:
                write_questions(out, every, questions)
                ahead.begin(left)

            run = examine(
                answerer,
                out,
                ahead.asked,
                about=about,
                pace=pace,
                before=before,
                keep=tally.keep,
                on_failure=OnFailure.GO_ON,
                progress=None if watch is None else lambda done, total: watch(done, total, str(tally)),
            )
        lines = {line["id"]: line for line in run.lines}
        judged = judge_all(benchmark, questions, lines, rules, referee)
        write_session(
            out,
            {
                **run.speed,
                "weights": getattr(answerer, "weights_hash", None),
                "picture_px": getattr(answerer, "picture_px", None),
                "machine": describe_machine(),
            },
        )
        keep_pictures(out, pictures_of(judged, shelf))
        return report_on(benchmark, out, run.about, judged, rules, total=len(questions), referee=referee)


class _Tally:
    """The score so far, in words."""

    def __init__(self, benchmark: Benchmark, questions: dict[str, Question], rules: Rules) -> None:
        self._benchmark, self._questions, self._rules = benchmark, questions, rules
        self._right, self._number, self._failed = 0.0, 0, 0

    def keep(self, reply: Reply) -> Line:
        line = asdict(reply)
        one = judge_line(self._benchmark, self._questions[reply.id], line, self._rules)
        self._failed += reply.failure is not None
        if one.score is not None:
            self._right, self._number = self._right + one.score, self._number + 1
        return line

    def __str__(self) -> str:
        failed = f", {self._failed} failed" if self._failed else ""
        if not self._number:
            return f"no score yet{failed}"
        low, high = wilson(round(self._right), self._number)
        return f"{100 * self._right / self._number:.1f} % ({100 * low:.0f} to {100 * high:.0f}){failed}"


def _asked(
    benchmark: Benchmark, question: Question, data: Dataset, sampler: FrameSampler, rules: Rules, shown: Shown
) -> Asked:
    is_seen = shown is Shown.FILM
    own = sampler.with_options(start_s=question.start_s, end_s=question.end_s, num_frames=question.num_frames)
    clip = None if own == sampler else own

    def conversation() -> Conversation:
        films, spoken = [], ""
        if is_seen:
            source = VideoSource(data.file(question.film), folder_fps=question.folder_fps, label=question.film)
            films, spoken = [Video(source, clip)], spoken_in(question, source, data, rules)
        prompt = benchmark.prompt(question, spoken, rules)
        return put(prompt, *films)

    prompt = benchmark.prompt(question, "", rules)
    return Asked(
        id=question.id,
        film=(question.film, question.start_s, question.end_s, question.num_frames),
        conversation=conversation,
        max_new_tokens=prompt.max_new_tokens,
        # at most: no film is opened before its turn
        num_frames=len(own.wanted_times(_LONGEST_S)) if is_seen else 0,
        continuations=_continuations(benchmark, question),
    )


def _continuations(benchmark: Benchmark, question: Question) -> tuple[str, ...]:
    match benchmark.way:
        case Way.SAY:
            return ()
        case Way.RANK:
            return question.options
        case Way.FORCE:
            return (question.answer or "",)


def _digest(questions: Sequence[Question]) -> str:
    return hashlib.sha256(repr(questions).encode()).hexdigest()


def _tell_missing(questions: Sequence[Question], data: Dataset) -> None:
    films = list(dict.fromkeys(one.film for one in questions if not one.fault))
    if missing := [film for film in films if not data.has(film)]:
        first = ", ".join(map(in_short, missing[:5])) + (", ..." if len(missing) > 5 else "")
        logger.warning(
            "%d of %d films are missing (%s); they come from %s", len(missing), len(films), first, data.source
        )
