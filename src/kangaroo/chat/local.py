"""Answer with a model in this process. Threads may ask at the same time: they share the films that were seen, and one
running batch.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from time import perf_counter

from kangaroo.chat.answerer import Answer, Likelihood, Sampling
from kangaroo.chat.batch import Batch
from kangaroo.chat.features import MAX_BYTES, FilmFeatures, FilmReader, Look, Stopwatch
from kangaroo.chat.generate import Step, score_continuations
from kangaroo.chat.kept import KeptFilms
from kangaroo.chat.memory import Memory, Prompt
from kangaroo.chat.session import Ask, OpensSessions
from kangaroo.dialogue.conversation import Conversation
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.pretrained import hash_weights
from kangaroo.video.sampler import FrameSampler


class LocalAnswerer(OpensSessions):
    """An `Answerer` of this process.

    >>> answerer = kangaroo.load("joey")
    >>> for text in answerer.chat("film.mp4").ask("What happens?"):
    ...     print(text, end="", flush=True)

    Args:
        model: On its device, in evaluation mode.
        processor: The one that the model was trained with.
        name: What answers call the model.
        max_feature_bytes: How much memory of the model's device may hold features of films that were seen.
        kept: Where what was seen of films is kept on disk; None for nowhere.
        max_rows: How many answers run together. Others wait until one ends.
        ends: The ids that end an answer; None for the model's own.
    """

    def __init__(
        self,
        model: KangarooForConditionalGeneration,
        processor: KangarooProcessor,
        *,
        name: str,
        max_feature_bytes: int = MAX_BYTES,
        kept: KeptFilms | None = None,
        max_rows: int = 16,
        ends: frozenset[int] | None = None,
    ) -> None:
        self.name = name
        self.model = model
        self.processor = processor
        self._films = FilmReader(model, processor, max_bytes=max_feature_bytes, kept=kept)
        self._max_rows = max_rows
        self._batch = Batch(model, processor.tokenizer, max_rows=max_rows, ends=ends)
        # one at a time, for memory's sake
        self._scoring = threading.Lock()

    @property
    def frame_sampler(self) -> FrameSampler:
        """The rule that picks the frames of a film that names no other."""
        return self.processor.video_processor.frame_sampler

    @property
    def context_tokens(self) -> int:
        """The most tokens of a prompt and its answer."""
        return self.model.config.text_config.max_position_embeddings

    @property
    def picture_px(self) -> int:
        """The side of the square that the model sees of each frame."""
        return self.processor.layout.image_size_px

    @cached_property
    def weights_hash(self) -> str:
        """A hash of every weight: two models of one name are told apart by it."""
        return hash_weights(self.model)

    def remembering(self) -> Ask:
        """Return `answer` with a memory: a conversation that goes on is not read again from its start."""
        return partial(self.answer, memory=Memory())

    def answer(
        self, conversation: Conversation, sampling: Sampling = Sampling(), *, memory: Memory | None = None
    ) -> Answer:
        """Answer the last user turn. Films are opened now; all other work happens as the answer is read.

        Raises:
            VideoError: A film cannot be opened. One that turns out to be broken raises while the answer is read.
            PromptError: Nothing is asked, or the conversation does not fit the context or the device's memory.
        """
        answer, look, stopwatch = self._begin(conversation, sampling)
        answer.stream = self._stream(answer, look, stopwatch, sampling, memory)
        return answer

    def answer_batch(self, conversations: Sequence[Conversation], sampling: Sampling = Sampling()) -> list[Answer]:
        """Answer several conversations together, and wait for all: the most answers a second on a GPU.

        Raises:
            KangarooError: As `answer`, for the first conversation that cannot be answered.
        """
        with ThreadPoolExecutor(self._max_rows) as threads:
            answers = list(threads.map(partial(self.answer, sampling=sampling), conversations))
            try:
                return list(threads.map(Answer.read, answers))
            except BaseException:
                for answer in answers:
                    answer.close()
                raise

    def prepare(self, conversation: Conversation, sampling: Sampling = Sampling()) -> None:
        """Read the films now, so that an answer about them finds them read.

        Raises:
            KangarooError: As `answer`.
        """
        _, look, stopwatch = self._begin(conversation, sampling)
        self._films.read(look, stopwatch)

    def score(self, conversation: Conversation, continuations: Sequence[str]) -> list[Likelihood]:
        """Return how likely each continuation is as the assistant's answer. The prompt is read once for all.

        Raises:
            KangarooError: As `answer`.
        """
        answer, look, stopwatch = self._begin(conversation, Sampling(max_new_tokens=1))
        prompt = self._prompt(answer, look, self._films.read(look, stopwatch))
        ids = [self.processor.encoder.text(continuation.strip()) for continuation in continuations]
        with self._scoring:
            return score_continuations(self._batch.reader, prompt, ids)

    def _begin(self, conversation: Conversation, sampling: Sampling) -> tuple[Answer, Look, Stopwatch]:
        stopwatch = Stopwatch(timings_s=dict.fromkeys(("open", "decode", "vision", "prefill", "generate"), 0.0))
        with stopwatch.time("open"):
            look = self._films.plan(
                conversation, context_tokens=self.context_tokens, reserve_tokens=sampling.max_new_tokens
            )
        answer = Answer(
            stream=iter(()),
            model=self.name,
            preflight=look.told,
            visual_tokens=look.plan.visual_tokens,
            prompt_tokens=look.plan.prompt_tokens,
            new_tokens=0,
            timings_s=stopwatch.timings_s,
            notes=look.plan.notes,
        )
        return answer, look, stopwatch

    def _prompt(self, answer: Answer, look: Look, films: Sequence[FilmFeatures]) -> Prompt:
        """Write the prompt, and into the answer what the films turned out to be."""
        counts = [len(film.times_s) for film in films]
        encoded = self.processor.encode(look.plan.conversation, counts, generation_prompt=True)
        answer.times_s = [list(film.times_s) for film in films]
        answer.prompt_tokens = len(encoded)
        answer.visual_tokens = sum(self.processor.layout.num_tokens(count) for count in counts)
        for plan, film in zip(look.plan.films, films, strict=True):
            answer.notes += tuple(f"{plan.source.name}: {note}" for note in film.notes)
        return Prompt(ids=encoded.input_ids, films=films)

    def _stream(
        self, answer: Answer, look: Look, stopwatch: Stopwatch, sampling: Sampling, memory: Memory | None
    ) -> Iterator[str]:
        films = self._films.read(look, stopwatch)
        answer.films_seen = stopwatch.films_seen
        steps = self._batch.answer(self._prompt(answer, look, films), sampling, memory=memory)
        for new_tokens, step in enumerate(_timed(steps, stopwatch.timings_s), start=1):
            answer.new_tokens = new_tokens
            answer.cached_tokens = 0 if memory is None else memory.num_recalled
            # known before the last words are handed out: who has them all need not ask for more
            answer.finish_reason = step.finish_reason
            if step.text:
                yield step.text


def _timed(steps: Iterator[Step], timings_s: dict[str, float]) -> Iterator[Step]:
    """Pass on the steps; the seconds until the first are `prefill`, those until the others `generate`."""
    name = "prefill"
    while True:
        began = perf_counter()
        try:
            step = next(steps, None)
        finally:
            timings_s[name] = timings_s.get(name, 0.0) + perf_counter() - began
        if step is None:
            return
        name = "generate"
        yield step
