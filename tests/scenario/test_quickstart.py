"""The figures of the quickstart: windows, energies, exactness, timing, reproducibility."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import cosim
from cosim.backends.behavioral import BehavioralBackend, Tolerances
from cosim.crossbar import CrossbarBackend, PhaseRequest, PhaseResult
from cosim.crossbar.backend import PassingBackend
from cosim.scenario.run import Result

FILE = Path(__file__).parents[2] / "scenarios" / "quickstart.yaml"


class Recording(PassingBackend):
    """Passes requests on and keeps them with their answers."""

    def __init__(self, inner: CrossbarBackend, kept: list[tuple[PhaseRequest, PhaseResult]]) -> None:
        super().__init__(inner)
        self._kept = kept

    def run(self, request: PhaseRequest) -> PhaseResult:
        result = self._inner.run(request)
        self._kept.append((request, result))
        return result


@pytest.fixture(scope="module")
def phases() -> list[tuple[PhaseRequest, PhaseResult]]:
    return []


@pytest.fixture(scope="module")
def result(phases: list[tuple[PhaseRequest, PhaseResult]]) -> Result:
    return cosim.run(cosim.load(FILE), wrap=lambda _tile, inner: Recording(inner, phases))


def test_cells_reach_their_window(result: Result) -> None:
    write = result.summary["operations"][0]
    assert write["cells"] == 128
    assert write["converged_fraction"] >= 0.99
    assert len(write["unreached"]) == 128 - write["converged"]
    outcomes = result.frame("outcomes")
    near = np.abs(outcomes["verified_s"] - outcomes["target_s"])
    low, high = 1 / 1005e3, 1 / 105e3
    assert (near[outcomes["converged"]] <= 0.02 * (high - low) * (1 + 1e-12)).all()


def test_operations_have_time_energy_and_error(result: Result) -> None:
    for entry in result.summary["operations"]:
        assert entry["end_s"] > entry["start_s"]
        assert entry["energy_j"] > 0
        assert entry["error"]


def test_the_transform_is_compared_with_the_exact_one(result: Result) -> None:
    """The reference is computed here anew: rows times the orthonormal DCT-II matrix."""
    from scipy.fft import dct

    rows = np.loadtxt(FILE.parent / "data" / "digits_rows.csv", delimiter=",", comments="#")
    matrix = np.loadtxt(FILE.parent / "data" / "dct8.csv", delimiter=",", comments="#")
    assert np.allclose(rows @ matrix, dct(rows, axis=1, norm="ortho"), atol=1e-5)
    read = result.summary["operations"][1]
    assert read["vectors"] == 64
    assert np.allclose(np.reshape(read["ideal"], (64, 8)), rows @ matrix)
    values = np.reshape(read["values"], (64, 8))
    rms = math.sqrt(float(np.mean((values - rows @ matrix) ** 2)))
    assert read["error"]["rms"] == pytest.approx(rms)
    assert read["error"]["rms_relative"] < 0.03


def test_energy_sums(result: Result) -> None:
    energy = result.summary["energy"]
    for part in ("by_component_j", "by_kind_j"):
        assert math.fsum(energy[part].values()) == pytest.approx(energy["total_j"], rel=1e-9)
    assert math.fsum(e["energy_j"] for e in result.summary["operations"]) == pytest.approx(
        energy["total_j"], rel=1e-9
    )
    assert math.fsum(result.frame("energies")["energy_j"]) == pytest.approx(energy["total_j"], rel=1e-9)


def test_the_balance_closes_in_the_sum_and_in_every_phase(result: Result) -> None:
    assert result.summary["energy"]["balance"]["relative_error"] <= 1e-9
    phases = result.frame()
    assert (phases["numerical_j"].abs() <= 1e-9 * phases["delivered_j"]).all()
    assert result.summary["checks"]["bounds_violations"] == 0
    assert result.summary["checks"]["kcl_residual_relative"] < 1e-6


def test_every_energy_has_a_formula_with_a_source(result: Result) -> None:
    assert set(result.frame("energies")["formula"]) <= set(result.trace.formulas)


def test_phase_energies_agree_with_a_ten_times_finer_run(
    result: Result, phases: list[tuple[PhaseRequest, PhaseResult]]
) -> None:
    """A third of the write phases, a twentieth of the others: energies within 1e-4, states within 1e-5."""
    assert len(phases) == result.summary["time"]["phases"]
    fine = BehavioralBackend(tolerances=Tolerances(refine=10))
    worst = 0.0
    for index, (request, answer) in enumerate(phases):
        if index % (3 if request.phase.kind == "write" else 20):
            continue
        other = fine.run(request)
        a, b = answer.energy, other.energy
        pairs = [
            (a.delivered.sum(), b.delivered.sum()), (a.dissipated, b.dissipated), (a.access, b.access),
            (a.wires, b.wires), (a.terminations, b.terminations),
            (sum(c.sum() for c in a.cells), sum(c.sum() for c in b.cells)),
        ]  # fmt: skip
        worst = max(worst, *(abs(x / y - 1) for x, y in pairs if y > 0))
        assert np.abs(answer.states[0] - other.states[0]).max() < 1e-5
    assert 0 < worst < 1e-4


def test_halving_the_adcs_lengthens_the_read(result: Result) -> None:
    """64 vectors, 8 columns a tile: (8/1 - 8/2) more turns of 9 clocks of 10 ns each."""
    read = result.summary["operations"][1]
    other = cosim.run(cosim.load(FILE, ["hardware.adc.count=1"])).summary["operations"][1]
    longer = (other["end_s"] - other["start_s"]) - (read["end_s"] - read["start_s"])
    assert longer == pytest.approx(64 * 4 * 9 * 10e-9, rel=1e-9)


def test_one_bank_for_the_system(result: Result) -> None:
    """Two ADCs for both tiles instead of two each: 16 conversions a vector take 8 turns, not 4."""
    read = result.summary["operations"][1]
    other = cosim.run(cosim.load(FILE, ["hardware.adc.shared=system"])).summary["operations"][1]
    longer = (other["end_s"] - other["start_s"]) - (read["end_s"] - read["start_s"])
    assert longer == pytest.approx(64 * 4 * 9 * 10e-9, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("quickstart", []), ("half_select", ["--set", "hardware.device.switches=1000"])],
    ids=["mean", "stochastic"],
)
def test_two_processes_write_the_same_bytes(
    name: str, changes: list[str], cosim_process, tmp_path: Path
) -> None:
    def run(folder: str) -> None:
        out = tmp_path / folder
        answer = cosim_process(
            "run", FILE.with_stem(name), "--quiet", "--out", out, *changes, PYTHONHASHSEED=str(len(folder))
        )
        assert (answer.code, answer.out, answer.err) == (0, "", "")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ("a", "bb")))
    files = [Path("summary.json"), *(Path("tables") / p.name for p in (tmp_path / "a" / "tables").iterdir())]
    assert len(files) > 5
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "bb" / file).read_bytes(), file


def test_the_seed_decides_the_draws() -> None:
    """With 1000 switches; an array without them draws nothing."""
    file = FILE.with_stem("half_select")

    def pulses(seed: int, switches: str) -> list[float]:
        changes = [
            f"hardware.device.switches={switches}",
            f"seed={seed}",
            "program.0.write.verify.max_pulses=3",
        ]
        return cosim.run(cosim.load(file, changes)).frame("pulses")["state_after"].tolist()

    assert pulses(1, "1000") != pulses(2, "1000")
    assert pulses(1, "1000") == pulses(1, "1000")
    assert pulses(1, "null") == pulses(2, "null")
