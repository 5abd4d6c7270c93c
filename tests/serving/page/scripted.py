"""An answerer that says what it is told to, word by word, when it is let."""

import threading

from kangaroo.chat.answerer import Answer, FinishReason
from kangaroo.chat.session import OpensSessions
from kangaroo.errors import EndpointError
from kangaroo.video.sampler import FrameSampler


class Scripted(OpensSessions):
    """Says its answers in turn; the words `!` and `?` fail. Keeps the conversations that it was asked about.

    Where it is `held`, each word waits for a release of `go`.
    """

    name = "scripted"

    def __init__(self, *answers, held=False):
        self.answers = list(answers)
        self.asked = []
        self.memories = 0
        self.go = threading.Semaphore(0 if held else 1000)

    @property
    def frame_sampler(self):
        return FrameSampler()

    def remembering(self):
        self.memories += 1
        return self.answer

    def answer(self, conversation, sampling):
        self.asked.append(conversation)
        if self.answers and not self.answers[0]:
            self.answers.pop(0)
            raise EndpointError("nobody is there")
        answer = Answer(stream=iter(()), model=self.name, preflight="4 frames over 2.0 s -> 20 tokens", new_tokens=0)
        answer.stream = self._words(answer)
        return answer

    def _words(self, answer):
        for word in self.answers.pop(0).split(" "):
            self.go.acquire(timeout=10)
            if word == "!":
                raise EndpointError("the server broke off")
            if word == "?":
                raise RuntimeError("a mistake of ours")
            answer.new_tokens += 1
            yield f"{word} "
        answer.finish_reason = FinishReason.STOP
