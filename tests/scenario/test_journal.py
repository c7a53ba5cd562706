"""The journal: results of costly phases by the hash of their request; damage is ignored."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from cosim.backends.behavioral import BehavioralBackend
from cosim.crossbar import Cell, CrossbarBackend, Phase, PhaseRequest, PhaseResult, Segments, level, single
from cosim.devices import find_preset
from cosim.errors import SpiceCrashError
from cosim.scenario.journal import JournalingBackend

FIRM = find_preset("mss-firm")


class Counting(CrossbarBackend):
    """Counts what it is asked."""

    name = "counting"

    def __init__(self, label: str = "1") -> None:
        self.inner, self.asked, self.label = BehavioralBackend(), 0, label

    def run(self, request: PhaseRequest) -> PhaseResult:
        self.asked += 1
        return self.inner.run(request)

    def describe(self) -> dict[str, object]:
        return {"backend": self.name, "version": self.label}


def request(volts: float = 0.7, start_fs: int = 0) -> PhaseRequest:
    network = single("t", (2, 2), FIRM, Cell("1R"), Segments(2.0, 2.0))
    drives = {"wl0": level(volts), "wl1": level(0.0), "bl0": level(0.0), "bl1": level(0.0)}
    phase = Phase("write", 10**9, drives, (10**8,), save=("wl0", "bl0"))
    return PhaseRequest(network, (np.full((2, 2), 0.5),), None, start_fs, 300.0, phase, 0)


def same(a: PhaseResult, b: PhaseResult) -> bool:
    def flat(result: PhaseResult) -> list[np.ndarray]:
        assert result.saved is not None
        e = result.energy
        return [
            *result.states, result.samples.voltage, result.samples.current, result.net_charge, e.delivered, e.absorbed,
            *e.cells, np.array([e.access, e.wires, e.terminations, e.stored, result.kcl_residual, result.duration_fs]),
            result.saved.times_s, result.saved.voltage,
        ]  # fmt: skip

    plain = (a.applied, a.samples.nets, a.samples.times_fs) == (b.applied, b.samples.nets, b.samples.times_fs)
    return plain and all(np.array_equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def test_a_journaled_result_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    first = Counting()
    result = JournalingBackend(first, tmp_path, resume=False).run(request())
    second = Counting()
    again = JournalingBackend(second, tmp_path, resume=True).run(request(start_fs=77))
    assert (first.asked, second.asked) == (1, 0)
    assert same(result, again)


def test_without_resume_nothing_is_taken(tmp_path: Path) -> None:
    inner = Counting()
    journal = JournalingBackend(inner, tmp_path, resume=False)
    journal.run(request())
    journal.run(request())
    assert inner.asked == 2


def test_another_request_or_backend_is_asked_anew(tmp_path: Path) -> None:
    JournalingBackend(Counting(), tmp_path, resume=True).run(request())
    other = Counting()
    journal = JournalingBackend(other, tmp_path, resume=True)
    journal.run(request(0.71))
    journal.run(dataclasses.replace(request(), temperature=301.0))
    assert other.asked == 2
    newer = Counting("2")
    JournalingBackend(newer, tmp_path, resume=True).run(request())
    assert newer.asked == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "head"])
def test_damaged_entries_are_ignored_and_written_anew(damage: str, tmp_path: Path) -> None:
    result = JournalingBackend(Counting(), tmp_path, resume=True).run(request())
    (entry,) = tmp_path.iterdir()
    content = entry.read_bytes()
    entry.unlink()
    half = len(content) // 2
    entry.write_bytes({"cut": content[:half], "empty": b"", "text": b"hello", "head": content[:4]}[damage])
    inner = Counting()
    again = JournalingBackend(inner, tmp_path, resume=True).run(request())
    assert inner.asked == 1
    assert same(result, again)
    last = Counting()
    JournalingBackend(last, tmp_path, resume=True).run(request())
    assert last.asked == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_failures_are_not_journaled(tmp_path: Path) -> None:
    class Dies(Counting):
        def run(self, request: PhaseRequest) -> PhaseResult:
            raise SpiceCrashError("died")

    with pytest.raises(SpiceCrashError):
        JournalingBackend(Dies(), tmp_path / "journal", resume=True).run(request())
    assert not (tmp_path / "journal").exists()
