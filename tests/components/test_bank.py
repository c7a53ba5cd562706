"""The bank is what a FIFO resource without pre-emption does, job by job."""

from __future__ import annotations

import itertools

import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from cosim.components.bank import ArbitratedBank, Bank, ConverterBank, make_bank
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
    assert sum(row[7] for row in rows) == sum(count for _, count, _ in arrivals)
    for unit in range(units):
        spans = sorted((row[5], row[6]) for row in rows if row[1] == unit)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    assert trace.capacities == {"adc": units}


@pytest.mark.parametrize(("units", "end"), [(1, 72), (2, 36), (3, 27), (8, 9), (20, 9)])
def test_a_burst_takes_the_rounded_up_number_of_turns(units: int, end: int) -> None:
    assert with_bank(units, [(0, 8, 9)])[0] == [end]


def test_nothing_to_do_takes_no_time() -> None:
    assert with_bank(1, [(5, 0, 9)])[0] == [5]


def run(bank: ConverterBank, environment: simpy.Environment, requests: list[tuple[str, int, int, int]]):
    """Serve requests (owner, at, count, length); returns the starts and the end of each owner's request."""
    starts: dict[str, list[int]] = {}
    ends: dict[str, int] = {}

    def ask(owner: str, at: int, count: int, length: int):
        yield environment.timeout(at)
        starts[owner] = yield from bank.serve(0, "convert", count, length, owner=owner)
        ends[owner] = int(environment.now)

    for request in requests:
        environment.process(ask(*request))
    environment.run()
    return starts, ends


def arbitrated(policy: str, units: int = 1, assignment: str = "any-free"):
    environment, trace = simpy.Environment(), Trace()
    bank = make_bank(environment, trace, "adc", units, assignment, policy)  # type: ignore[arg-type]
    for owner in ("a", "b"):
        bank.name_owner(owner)
    return bank, environment, trace


def test_first_come_serves_one_request_after_the_other() -> None:
    """One unit, 3 jobs of 10 from each of two owners: a at 0, 10, 20; b at 30, 40, 50."""
    bank, environment, _ = arbitrated("first-come")
    starts, ends = run(bank, environment, [("a", 0, 3, 10), ("b", 0, 3, 10)])
    assert starts == {"a": [0, 10, 20], "b": [30, 40, 50]}
    assert ends == {"a": 30, "b": 60}


def test_round_robin_takes_turns() -> None:
    """One unit: a, b, a, b, a, b, so a ends at 50 and b at 60."""
    bank, environment, _ = arbitrated("round-robin")
    starts, ends = run(bank, environment, [("a", 0, 3, 10), ("b", 0, 3, 10)])
    assert starts == {"a": [0, 20, 40], "b": [10, 30, 50]}
    assert ends == {"a": 50, "b": 60}


def test_priority_follows_the_order_of_the_owners() -> None:
    """b asks first and has the unit until 10; then a, which was named first, overtakes b's other jobs."""
    bank, environment, _ = arbitrated("priority")
    starts, ends = run(bank, environment, [("b", 0, 3, 10), ("a", 5, 2, 10)])
    assert starts == {"b": [0, 30, 40], "a": [10, 20]}
    assert ends == {"b": 50, "a": 30}


@pytest.mark.parametrize("policy", ["first-come", "round-robin", "priority"])
def test_fixed_assignment_keeps_a_column_at_its_unit(policy: str) -> None:
    """Six columns at four units: columns 0 1 | 2 | 3 4 | 5, so units 0 and 2 have two jobs, the others wait idle."""
    bank, environment, trace = arbitrated(policy, 4, "fixed")
    starts, ends = run(bank, environment, [("a", 0, 6, 10)])
    assert [bank.unit_of(column, 6) for column in range(6)] == [0, 0, 1, 2, 2, 3]
    assert starts["a"] == [0, 10, 0, 0, 10, 0]
    assert ends == {"a": 20}
    assert sum(row[7] for row in trace.busy) == 6


def test_fixed_assignment_waits_where_any_free_does_not() -> None:
    """Two requests for column 0 of two: with fixed assignment the second waits, though the other unit is idle."""
    ends = {}
    for assignment in ("any-free", "fixed"):
        environment = simpy.Environment()
        bank = Bank(environment, Trace(), "adc", 2, assignment)  # type: ignore[arg-type]

        def ask(bank=bank):
            yield from bank.serve(0, "convert", 1, 10, places=(0, 2))

        for _ in range(2):
            environment.process(ask())
        environment.run()
        ends[assignment] = environment.now
    assert ends == {"any-free": 10, "fixed": 20}


@pytest.mark.parametrize("policy", ["first-come", "round-robin"])
def test_a_pipeline_starts_before_it_has_ended(policy: str) -> None:
    """Interval 1, latency 9: 8 jobs start at 0 to 7, the last code is there at 16."""
    environment = simpy.Environment()
    bank = make_bank(environment, Trace(), "adc", 1, "any-free", policy)  # type: ignore[arg-type]
    found = {}

    def ask():
        found["starts"] = yield from bank.serve(0, "convert", 8, 1, latency_fs=9)

    environment.process(ask())
    environment.run()
    assert (found["starts"], environment.now) == (list(range(8)), 16)


@given(
    units=st.integers(1, 4), policy=st.sampled_from(["round-robin", "priority"]),
    arrivals=st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 6), st.integers(1, 9)), min_size=1, max_size=8
    ),
)  # fmt: skip
def test_arbitration_loses_no_job_and_keeps_no_unit_idle(units: int, policy: str, arrivals: Arrivals) -> None:
    """Work is conserved: a job never waits while a unit is idle, and no unit does two at once."""
    environment, trace = simpy.Environment(), Trace()
    bank = ArbitratedBank(environment, trace, "adc", units, "any-free", policy)  # type: ignore[arg-type]
    run(bank, environment, [(str(k), *arrival) for k, arrival in enumerate(arrivals)])
    rows = [(row[1], row[4], row[5], row[6]) for row in trace.busy]
    assert len(rows) == sum(count for _, count, _ in arrivals)
    for unit in range(units):
        spans = sorted((start, end) for u, _, start, end in rows if u == unit)
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))
    for _, asked, start, _ in rows:
        for instant in {asked, *(end for _, _, _, end in rows if asked <= end < start)}:
            if asked <= instant < start:
                assert sum(s <= instant < e for _, _, s, e in rows) == units
