"""Turns: one holder at a time, in the order of asking, no event where nobody waits."""

from __future__ import annotations

from collections.abc import Generator

import simpy

from cosim.components.turn import Turn


def test_holders_follow_one_another_in_the_order_of_asking() -> None:
    environment = simpy.Environment()
    turn, log = Turn(environment), []

    def user(name: str, asks_at: int, holds: int) -> Generator[simpy.Event, None, None]:
        yield environment.timeout(asks_at)
        yield from turn.take()
        start = environment.now
        yield environment.timeout(holds)
        log.append((name, start, environment.now))
        turn.give()

    for name, asks_at, holds in (("a", 0, 10), ("b", 3, 5), ("c", 2, 5), ("d", 30, 1)):
        environment.process(user(name, asks_at, holds))
    environment.run()
    assert log == [("a", 0, 10), ("c", 10, 15), ("b", 15, 20), ("d", 30, 31)]


def test_one_who_comes_between_hand_over_and_waking_does_not_overtake() -> None:
    environment = simpy.Environment()
    turn, order = Turn(environment), []

    def user(name: str) -> Generator[simpy.Event, None, None]:
        yield from turn.take()
        order.append(name)
        yield environment.timeout(1)
        turn.give()
        if name == "a":
            yield from turn.take()
            order.append("a again")
            turn.give()

    environment.process(user("a"))
    environment.process(user("b"))
    environment.run()
    assert order == ["a", "b", "a again"]


def test_a_free_turn_costs_no_event() -> None:
    environment = simpy.Environment()
    assert list(Turn(environment).take()) == []
