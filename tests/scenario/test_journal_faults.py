"""The journal: what is taken from it, what is not, how large it gets, and who may use whose entries."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from cosim.crossbar import Cell, Phase, PhaseRequest, Segments, level, single
from cosim.crossbar.backend import (
    CrossbarBackend,
    Deviation,
    Energy,
    PhaseResult,
    Samples,
    SavedWaveforms,
)
from cosim.devices import Resistor
from cosim.scenario.journal import JournalingBackend

NETWORK = single("t", (2, 2), Resistor(), Cell(), Segments())
BLOCK = 4096


def request(number: int) -> PhaseRequest:
    drives = {"wl0": level(0.1), "bl0": level(0.0)}
    phase = Phase("read", 10**7, drives, (5 * 10**6,), ("wl0",))
    return PhaseRequest(NETWORK, (np.full((2, 2), 1e-6),), None, 0, 300.0, phase, number)


class Costly(CrossbarBackend):
    """Answers with numbers that need every digit, counts its work, and claims to be an engine."""

    name: ClassVar[str] = "costly"
    costly: ClassVar[bool] = True

    def __init__(self, engine: str = "one", version: str = "39") -> None:
        self.asked = 0
        self.engine, self.version = engine, version

    def run(self, request: PhaseRequest) -> PhaseResult:
        self.asked += 1
        rng = np.random.default_rng(request.noise_seed)
        nets = request.network.nets
        count = len(nets)
        energy = Energy(rng.random(count), rng.random(count), (rng.random((2, 2)),), *rng.random(4).tolist())
        samples = Samples(request.phase.strobes_fs, nets, rng.random((1, count)), rng.random((1, count)))
        saved = SavedWaveforms(rng.random(7), ("wl0",), rng.random((7, 1)))
        return PhaseResult(
            (rng.random((2, 2)),), (rng.random((2, 2, 2)),), 10**7 + 1, samples, rng.random(count), energy, 1e-17 / 3,
            ("plain_resistors",), saved, Deviation(*rng.random(5).tolist()), net_voltages=rng.random(count),
        )  # fmt: skip

    def describe(self) -> dict[str, Any]:
        return {"backend": self.name, "engine": self.engine, "ngspice": self.version}


def flat(value: object) -> list[object]:
    """Return every number and word of a result."""
    if isinstance(value, np.ndarray):
        return [value.shape, value.dtype.str, value.tobytes()]
    if isinstance(value, tuple):
        return [part for entry in value for part in flat(entry)]
    if hasattr(value, "__dataclass_fields__"):
        return [part for name in value.__dataclass_fields__ for part in flat(getattr(value, name))]
    return [type(value), value]


@pytest.fixture
def journal(tmp_path: Path) -> Callable[..., tuple[JournalingBackend, Costly]]:
    """Return a maker of a backend with a journal, as a new process would have it."""

    def make(engine: str = "one", version: str = "39", **options: Any) -> tuple[JournalingBackend, Costly]:
        inner = Costly(engine, version)
        options.setdefault("resume", True)
        return JournalingBackend(inner, tmp_path / "journal", **options), inner

    return make


def used(folder: Path) -> int:
    return sum(-(-path.stat().st_size // BLOCK) * BLOCK for path in folder.iterdir())


def fill(maker: Callable[..., tuple[JournalingBackend, Costly]], numbers: range, **options: Any) -> Costly:
    backend, inner = maker(**options)
    for number in numbers:
        backend.run(request(number))
    backend.close()
    return inner


def test_journaled_result_is_the_result_to_the_bit(journal) -> None:
    first, _ = journal()
    expected = flat(first.run(request(1)))
    first.close()
    second, inner = journal()
    assert flat(second.run(request(1))) == expected
    assert inner.asked == 0
    assert second.describe()["journal"] == {
        "taken": 1, "taken_of_other_engines": 0, "kept": 0, "left_out": 0,
    }  # fmt: skip
    assert second.name == "costly"


def test_only_resume_takes_results(journal) -> None:
    fill(journal, range(3))
    assert fill(journal, range(3), resume=False).asked == 3
    assert fill(journal, range(5)).asked == 2


def test_start_of_a_phase_does_not_count_but_all_else_does(journal) -> None:
    fill(journal, range(1))
    backend, inner = journal()
    backend.run(replace(request(0), start_fs=12345))
    assert inner.asked == 0
    backend.run(replace(request(0), temperature=301.0))
    backend.run(replace(request(0), states=(np.full((2, 2), np.nextafter(1e-6, 1)),)))
    assert inner.asked == 2


def test_failed_phases_are_not_kept(journal, tmp_path: Path) -> None:
    class Broken(Costly):
        def run(self, request: PhaseRequest) -> PhaseResult:
            raise ValueError("no")

    backend = JournalingBackend(Broken(), tmp_path / "journal", resume=True)
    with pytest.raises(ValueError, match="no"):
        backend.run(request(0))
    assert not (tmp_path / "journal").exists()


def test_half_damaged_and_renamed_entries_are_not_taken(journal, tmp_path: Path) -> None:
    fill(journal, range(8))
    paths = sorted((tmp_path / "journal").iterdir())
    whole = [path.read_bytes() for path in paths]
    rng = np.random.default_rng(0)
    for round_ in range(25):
        for path, content in zip(paths[:-1], whole[:-1], strict=True):
            at = int(rng.integers(len(content)))
            torn = content[:at] if round_ % 2 else bytearray(content)
            if not round_ % 2:
                torn[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(torn)
        paths[0].write_bytes(whole[1])
        assert fill(journal, range(8)).asked == 7
        assert [path.read_bytes() for path in paths] == whole
    paths[0].write_bytes(b"")
    assert fill(journal, range(8)).asked == 1


def test_remains_of_a_killed_run_go_and_those_of_a_living_one_stay(journal, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    folder.mkdir()
    dead = 2**22 + 1  # above the largest process number
    (folder / f"{dead}-abc.tmp").write_bytes(b"half")
    (folder / "odd.tmp").write_bytes(b"half")
    (folder / f"{os.getpid()}-abc.tmp").write_bytes(b"half")
    (folder / "notes.txt").write_text("of a person")
    fill(journal, range(1))
    assert sorted(path.name for path in folder.iterdir() if not path.name.endswith(".phase")) == [
        f"{os.getpid()}-abc.tmp",
        "notes.txt",
    ]


def test_journal_is_bounded_and_keeps_the_beginning(journal, tmp_path: Path) -> None:
    fill(journal, range(1))
    entry = used(tmp_path / "journal")
    backend, _ = journal(limit_bytes=10 * entry)
    for number in range(30):
        backend.run(request(number))
    assert used(tmp_path / "journal") == 10 * entry
    assert backend.describe()["journal"]["left_out"] == 20
    backend.close()
    assert fill(journal, range(30), limit_bytes=10 * entry).asked == 20
    assert fill(journal, range(10), limit_bytes=10 * entry).asked == 0


def test_entries_that_this_run_has_not_needed_make_room_oldest_first(journal, tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    fill(journal, range(1))
    entry = used(folder)
    fill(journal, range(10), limit_bytes=10 * entry)
    for age, path in enumerate(sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)):
        os.utime(path, (1e9 + age, 1e9 + age))
    assert fill(journal, range(8, 14), limit_bytes=10 * entry).asked == 4  # 8 and 9 taken, 0 to 3 go
    assert used(folder) == 10 * entry
    assert fill(journal, range(4, 14), limit_bytes=10 * entry).asked == 0


def test_limit_holds_for_all_backends_of_a_run_together(journal, tmp_path: Path) -> None:
    fill(journal, range(1))
    entry = used(tmp_path / "journal")
    backends = [journal(engine, limit_bytes=6 * entry)[0] for engine in ("one", "two")]
    for number in range(10, 20):
        for backend in backends:
            backend.run(request(number))
    assert used(tmp_path / "journal") == 6 * entry


def test_other_version_is_another_backend(journal) -> None:
    fill(journal, range(2))
    assert fill(journal, range(2), version="44").asked == 2
    assert fill(journal, range(2)).asked == 0


def test_entries_of_another_engine_are_taken_and_said_so(journal) -> None:
    fill(journal, range(2))
    backend, inner = journal("two")
    result = backend.run(request(0))
    assert inner.asked == 0
    assert result.applied == ("plain_resistors", "journal_of_one")
    assert backend.describe()["journal"]["taken_of_other_engines"] == 1
    backend.run(request(7))
    backend.close()
    own, _ = journal("two")
    assert own.run(request(7)).applied == ("plain_resistors",)
    first, _ = journal("one")
    assert first.run(request(0)).applied == ("plain_resistors",)
    assert first.run(request(7)).applied == ("plain_resistors", "journal_of_two")


def test_full_disk_costs_the_entry_and_not_the_run(journal, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    backend, inner = journal()
    backend.run(request(0))
    assert inner.asked == 1
    assert backend.describe()["journal"]["left_out"] == 1


@pytest.mark.ngspice
def test_run_on_one_engine_is_resumed_on_the_other(cli, scenarios: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = (scenarios / "handover.yaml", "--out", out, "--quiet", "--set")
    assert cli("run", *words, "spice.engine=subprocess").code == 0
    before = json.loads((out / "summary.json").read_text())
    assert cli("run", *words, "spice.engine=auto", "--resume").code == 0
    after = json.loads((out / "summary.json").read_text())
    assert after["energy"]["total_j"] == pytest.approx(before["energy"]["total_j"], rel=1e-9)
    (told,) = [
        b for b in json.loads((out / "manifest.json").read_text())["backends"] if b["backend"] == "ngspice"
    ]
    table = (out / "tables" / "phases.csv").read_text()
    if told["engine"] == "subprocess":
        pytest.skip("there is one engine on this machine")
    assert told["journal"]["taken_of_other_engines"] == told["journal"]["taken"] > 0
    assert table.count("journal_of_subprocess") == told["journal"]["taken"]
