"""A benchmark as a value: its questions, how they are put, when an answer is right, how scores become one.

Imports without torch.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import count
from string import ascii_uppercase
from typing import Any

from kangaroo.errors import OptionError
from kangaroo.evaluation.dataset import Dataset
from kangaroo.video.sampler import FrameSampler


class Rules(StrEnum):
    """Whose conventions a prompt and a score follow.

    STRICT is ours: nothing is guessed and nothing dropped; what cannot be read is wrong and counted apart. The others
    do as those harnesses do, traps included, so that a figure can be set beside one that they gave.
    """

    STRICT = "strict"
    LMMS_EVAL = "lmms-eval"
    VLMEVALKIT = "vlmevalkit"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One record of a data set.

    Attributes:
        id: Names it within the benchmark.
        film: Its film's path or name in the data set; questions about one film go together.
        question: What is asked, in the data set's words.
        options: The options without their letters, A first; none where the answer is free.
        answer: A letter where there are options, else the words; None where the authors keep it.
        groups: What it is counted under: pairs such as ("duration", "short"); one name may come more than once.
        task: The way of asking, where a benchmark has several; only then may there be no options.
        start_s: Start of the clip in its film, None for the film's start.
        end_s: End of that clip.
        folder_fps: Pictures a second where the film is a folder of pictures.
        num_frames: Shows exactly so many frames of the film; None leaves it to the model's rule.
        subtitles: Its subtitles' path in the data set, empty for none.
        rubric: What only a judge is told.
        fault: Why it cannot be asked, empty where it can.
    """

    id: str
    film: str
    question: str
    options: tuple[str, ...] = ()
    answer: str | None = None
    groups: tuple[tuple[str, str], ...] = ()
    task: str = ""
    start_s: float | None = None
    end_s: float | None = None
    folder_fps: float = 1.0
    num_frames: int | None = None
    subtitles: str = ""
    rubric: str = ""
    fault: str = ""

    @property
    def letters(self) -> str:
        """One letter for each option."""
        return ascii_uppercase[: len(self.options)]


class Outcome(StrEnum):
    """What became of an answer."""

    READ = "read"
    UNREAD = "unread"
    """It could not be read and is wrong."""
    GUESSED = "guessed"
    """It could not be read; the rules pick at random, and it scores what that is worth on average."""
    DROPPED = "dropped"
    """The rules leave it out of the score."""
    JUDGED = "judged"
    """A judge gave its score."""
    UNJUDGED = "unjudged"
    """Only a judge could tell, and none did."""
    HIDDEN = "hidden"
    """The right answer is not published."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What an answer was read as and what it is worth, 0 to 1; a score of None is not part of any mean."""

    outcome: Outcome
    parsed: str | None = None
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """The words that go with a film."""

    text: str
    system: str = ""
    max_new_tokens: int = 64


class Way(StrEnum):
    """How an answer is got: the model says it, it ranks all options by likelihood, or it is read the right answer and
    must find each of its tokens the likeliest (teacher forcing)."""

    SAY = "say"
    RANK = "rank"
    FORCE = "force"


_MALFORMED = (KeyError, TypeError, AttributeError, IndexError, ValueError, ArithmeticError, RecursionError)
Row = Mapping[str, Any]
Records = Callable[[Dataset], Iterable[Row]]
Ask = Callable[[Question, str, Rules], Prompt]
Judge = Callable[[Question, str, Rules], Verdict]


@dataclass(frozen=True, kw_only=True)
class Appeals:
    """What another model, a judge, is asked where rules cannot tell.

    Attributes:
        ask: Puts a question, its answer, what the rules made of it and whose they are; None where no judge is needed.
        read: Returns the score, 0 to 1, that a judge's reply gives; None where it gives none.
    """

    ask: Callable[[Question, str, Verdict, Rules], Prompt | None]
    read: Callable[[Question, str], float | None]


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What is measured.

    Attributes:
        name: What a person types.
        title: What a report calls it.
        source: Where the data come from.
        records: Yields the records of a data set as its authors publish it.
        question: Turns a record into a question.
        prompt: Puts a question: it, what is spoken in its film (empty mostly) and whose rules.
        judge: Reads an answer.
        way: How an answer is got.
        appeals: What a judge is asked, where there is something that only one can tell.
        points: What a full score is called, where it is not 100 %.
        grid: Two groups whose pairs make a heat map: down and across.
        mean_over: The groups whose mean is the score under given rules; rules not named take every question alike.
        submission: Turns questions and the letters read into what the authors' server takes, where labels are hidden.
    """

    name: str
    title: str
    source: str
    records: Records
    question: Callable[[Row], Question]
    prompt: Ask
    judge: Judge
    way: Way = Way.SAY
    appeals: Appeals | None = None
    points: int | None = None
    grid: tuple[str, str] | None = None
    mean_over: Mapping[Rules, str] = field(default_factory=dict)
    submission: Callable[[Iterable[tuple[Question, str | None]]], Any] | None = None


def questions_of(benchmark: Benchmark, data: Dataset) -> list[Question]:
    """Return the questions in their order; a record that cannot be asked keeps its place and says why.

    Raises:
        OptionError: A file of the data set is missing or damaged, or none of its records can be read.
    """
    try:
        questions = list(_read(benchmark, data))
    except OptionError:
        raise
    except _MALFORMED as error:
        raise OptionError(
            f"{data.root} is not laid out as {benchmark.source} is ({type(error).__name__}: {error})"
        ) from None
    if all(question.fault for question in questions):
        first = questions[0].fault if questions else "there is none"
        raise OptionError(f"{data.root} is not laid out as {benchmark.source} is: no record can be asked ({first})")
    return questions


def _read(benchmark: Benchmark, data: Dataset) -> Iterator[Question]:
    found = [_question(benchmark, place, row) for place, row in enumerate(benchmark.records(data))]
    taken = {question.id for question in found}
    seen: Counter[str] = Counter()
    for question in found:
        seen[question.id] += 1
        number = seen[question.id]
        if number == 1:
            yield question
            continue
        # no name that another record has, whose answer would be taken for this one's
        unused = next(name for suffix in count(number) if (name := f"{question.id}#{suffix}") not in taken)
        taken.add(unused)
        yield replace(question, id=unused, fault=question.fault or f"{number - 1} before it have its id")


def _question(benchmark: Benchmark, place: int, row: Row) -> Question:
    try:
        question = benchmark.question(row)
        json.dumps(asdict(question), ensure_ascii=False).encode()  # half a surrogate pair cannot be written down
        return replace(question, fault=question.fault or next(_faults(question), ""))
    except _MALFORMED as error:
        fault = f"the record is malformed ({type(error).__name__}: {error})"
        return Question(id=f"record {place}", film="", question="", fault=fault)


def words(value: Any) -> str:
    """Return what a record holds as text.

    Raises:
        TypeError: It is neither text nor a number, such as a field left empty.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"expected words, found {value!r:.60}")
    return str(value)


def each_words(value: Any, absent: tuple[Any, ...] = ()) -> tuple[str, ...]:
    """Return what a record holds as several texts, without what stands for none.

    Raises:
        TypeError: It is no list, such as a text whose characters would be taken for options, or not one of words.
    """
    if not isinstance(value, list | tuple):
        raise TypeError(f"expected a list of words, found {value!r:.60}")
    return tuple(words(one) for one in value if one not in absent)


def _faults(question: Question) -> Iterator[str]:
    """Yield why a question cannot be asked or scored."""
    options, answer = question.options, question.answer
    if not question.question.strip():
        yield "nothing is asked"
    is_free = question.task and not options
    if not is_free and not 2 <= len(options) <= len(ascii_uppercase):
        yield f"it has {len(options)} options"
    if not all(option.strip() for option in options):
        yield "an option is empty"
    if answer is not None and not answer.strip():
        yield "its answer is empty"
    if options and answer is not None:
        if answer not in tuple(question.letters):
            yield f"its answer {answer!r:.40} is not among {question.letters}"
        elif options.count(options[question.letters.index(answer)]) > 1:
            yield f"another option has the same words as its answer {answer}"
    try:
        FrameSampler(start_s=question.start_s, end_s=question.end_s)
    except OptionError as error:
        yield str(error)
