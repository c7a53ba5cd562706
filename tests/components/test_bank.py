"""The bank is what a FIFO resource without pre-emption does, job by job."""

from __future__ import annotations

import itertools

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from cosim.components.bank import Bank
from cosim.records import Trace

Arrivals = list[tuple[int, int, int]]


def with_bank(units: int, arrivals: Arrivals) -> tuple[list[int], Trace]:
    environment, trace = simpy.Environment(), Trace()
    bank = Bank(environment, trace, "adc", units)
    ends = [0] * len(arrivals)

    def ask(k: int, at: int, count: int, length: int):
        yield environment.timeout(at)
        yield from bank.serve(0, "convert", count, length)
        ends[k] = int(environment.now)

    for k, arrival in enumerate(arrivals):
        environment.process(ask(k, *arrival))
    environment.run()
    return ends, trace


def with_resource(units: int, arrivals: Arrivals) -> list[int]:
    environment = simpy.Environment()
    resource = simpy.Resource(environment, units)
    ends = [0] * len(arrivals)

    def job(k: int, length: int):
        with resource.request() as turn:
            yield turn
            yield environment.timeout(length)
            ends[k] = max(ends[k], int(environment.now))

    def ask(k: int, at: int, count: int, length: int):
        yield environment.timeout(at)
        for _ in range(count):
            environment.process(job(k, length))

    for k, arrival in enumerate(arrivals):
        environment.process(ask(k, *arrival))
    environment.run()
    return ends


@given(
    units=st.integers(1, 4),
    arrivals=st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=8
    ),
)
def test_same_as_a_fifo_resource(units: int, arrivals: Arrivals) -> None:
    ends, _ = with_bank(units, arrivals)
    assert ends == with_resource(units, arrivals)


@given(
    units=st.integers(1, 4),
    arrivals=st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=8
    ),
)
def test_no_unit_does_two_jobs_at_once(units: int, arrivals: Arrivals) -> None:
    _, trace = with_bank(units, arrivals)
    rows = list(trace.busy)
    assert len(rows) == sum(count for _, count, _ in arrivals)
    for unit in range(units):
        spans = sorted((row[5], row[6]) for row in rows if row[1] == unit)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert trace.capacities == {"adc": units}


@pytest.mark.parametrize(("units", "end"), [(1, 72), (2, 36), (3, 27), (8, 9), (20, 9)])
def test_a_burst_takes_the_rounded_up_number_of_turns(units: int, end: int) -> None:
    assert with_bank(units, [(0, 8, 9)])[0] == [end]


def test_nothing_to_do_takes_no_time() -> None:
    assert with_bank(1, [(5, 0, 9)])[0] == [5]
