"""A bounded queue: so many answers under way, so many waiting, the next refused at once. Lives on the event loop."""

import asyncio
import math
from collections import deque

from kangaroo.serving.errors import ApiError

_MOST_RETRY_S = 60


class Admission:
    """Who may begin to answer.

    Args:
        num_running: Answers at a time.
        num_waiting: Requests that may wait for a turn.
    """

    def __init__(self, *, num_running: int, num_waiting: int) -> None:
        self._num_running, self._num_waiting = num_running, num_waiting
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._usual_s = 1.0
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def enter(self) -> None:
        """Wait for a turn; `leave` must follow.

        Raises:
            ApiError: Too many wait, or the server is stopping.
        """
        if self._closed:
            raise _stopping()
        if self.running < self._num_running:
            self.running += 1
            return
        if len(self._waiting) >= self._num_waiting:
            raise ApiError(
                429,
                f"{self.running} answers are under way and {len(self._waiting)} requests wait; try again later",
                code="queue_full",
                retry_s=self._retry_s(),
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # the turn came in the same moment
            else:
                self._forget(turn)
            raise

    def leave(self, *, took_s: float | None = None) -> None:
        """Give the turn to who waits longest."""
        if took_s is not None:
            self._usual_s += (took_s - self._usual_s) / 8
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self.running -= 1

    def close(self) -> None:
        """Refuse who waits and who comes; what runs may end."""
        self._closed = True
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(_stopping())

    def _forget(self, turn: asyncio.Future[None]) -> None:
        if turn in self._waiting:
            self._waiting.remove(turn)

    def _retry_s(self) -> int:
        return max(1, min(_MOST_RETRY_S, math.ceil(self._usual_s * (self.waiting + 1) / self._num_running)))


def _stopping() -> ApiError:
    return ApiError(503, "the server is stopping; try again later", code="stopping", retry_s=10)
