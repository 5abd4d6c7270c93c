"""So many run, so many wait in order, the next is told when to come again."""

import asyncio

import pytest

from kangaroo.serving.admission import Admission
from kangaroo.serving.errors import ApiError


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_turns_are_given_in_order_and_the_rest_is_refused():
    async def play():
        gate, order = Admission(num_running=1, num_waiting=2), []

        async def come(name):
            await gate.enter()
            order.append(name)

        await come("first")
        waiting = [asyncio.ensure_future(come(name)) for name in ("second", "third")]
        await settle()
        assert (gate.running, gate.waiting) == (1, 2)
        with pytest.raises(ApiError) as caught:
            await gate.enter()
        assert caught.value.status_code == 429
        assert caught.value.headers == {"Retry-After": "3"}
        for _ in range(3):
            gate.leave(took_s=1.0)
            await settle()
        assert order == ["first", "second", "third"]
        await asyncio.gather(*waiting)
        assert (gate.running, gate.waiting) == (0, 0)

    asyncio.run(play())


def test_who_leaves_the_queue_takes_no_turn():
    async def play():
        gate = Admission(num_running=1, num_waiting=2)
        await gate.enter()
        leaving, staying = (asyncio.ensure_future(gate.enter()) for _ in range(2))
        await settle()
        leaving.cancel()
        await settle()
        assert gate.waiting == 1
        gate.leave()
        staying.cancel()  # in the moment in which the turn comes
        await settle()
        assert (gate.running, gate.waiting) == (0, 0)

    asyncio.run(play())


def test_after_closing_nobody_begins():
    async def play():
        gate = Admission(num_running=1, num_waiting=2)
        await gate.enter()
        waiting = asyncio.ensure_future(gate.enter())
        await settle()
        gate.close()
        for late in (waiting, gate.enter()):
            with pytest.raises(ApiError) as caught:
                await late
            assert caught.value.status_code == 503
        gate.leave()
        assert gate.running == 0

    asyncio.run(play())
