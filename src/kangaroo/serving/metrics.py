"""What an operator watches, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kangaroo.chat.answerer import Answer, FinishReason
from kangaroo.serving.admission import Admission
from kangaroo.serving.shelf import Shelf

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120)
_DELAYS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Metrics:
    """The counters of one server; `text` is what Prometheus reads."""

    def __init__(self, admission: Admission, shelf: Shelf) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter("kangaroo_requests", "Requests by route and status.", ["route", "status"], registry=own)
        self.answers = Counter("kangaroo_answers", "Answers by how they ended.", ["finish"], registry=own)
        self.first_token_s = Histogram(
            "kangaroo_first_token_seconds", "From a request to the first text.", buckets=_SECONDS, registry=own
        )
        self.answer_s = Histogram(
            "kangaroo_answer_seconds", "From a request to the answer's end.", buckets=_SECONDS, registry=own
        )
        self.first_byte_delay_s = Histogram(
            "kangaroo_first_byte_delay_seconds",
            "From the model's first text to the socket, of streams.",
            buckets=_DELAYS,
            registry=own,
        )
        self.phase_s = Counter("kangaroo_phase_seconds", "Seconds spent by phase of answers.", ["phase"], registry=own)
        self._prompt = Counter("kangaroo_prompt_tokens", "Tokens of prompts.", registry=own)
        self._cached = Counter("kangaroo_cached_tokens", "Those that needed not be read again.", registry=own)
        self._visual = Counter("kangaroo_visual_tokens", "Those that stand for films.", registry=own)
        self._new = Counter("kangaroo_new_tokens", "Tokens of answers.", registry=own)
        self._films = Counter("kangaroo_films", "Films and pictures in prompts.", registry=own)
        self._seen = Counter("kangaroo_films_seen", "Those that went through the vision tower.", registry=own)
        Gauge("kangaroo_answers_running", "Under way.", registry=own).set_function(lambda: admission.running)
        Gauge("kangaroo_requests_waiting", "In the queue.", registry=own).set_function(lambda: admission.waiting)
        Gauge("kangaroo_stored_bytes", "Films on disk.", registry=own).set_function(lambda: shelf.num_bytes)

    def count(self, answer: Answer) -> None:
        """Add up what an answer was, once it has ended."""
        self.answers.labels(str(answer.finish_reason or FinishReason.CANCELLED)).inc()
        for counter, tokens in (
            (self._prompt, answer.prompt_tokens),
            (self._cached, answer.cached_tokens),
            (self._visual, answer.visual_tokens),
            (self._new, answer.new_tokens),
            (self._films, len(answer.times_s)),
            (self._seen, answer.films_seen),
        ):
            counter.inc(tokens or 0)
        for phase, seconds in answer.timings_s.items():
            self.phase_s.labels(phase).inc(seconds)

    def text(self) -> bytes:
        """Return all values in Prometheus' text form."""
        return generate_latest(self._registry)
