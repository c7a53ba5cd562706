"""Self-timed reads: the strobe against closed forms and ngspice, its window, delay, offset, and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cosim.components import Adc, Comparator, Driver, Sense, read_timing
from cosim.components.tile import PHASE_KINDS
from cosim.crossbar import Cell
from cosim.crossbar.backend import find
from cosim.devices import Resistor
from cosim.errors import DeviceError, UnsupportedRequestError
from cosim.hardware import ArraySpec, Hardware, WireSpec
from cosim.records import Trace
from cosim.system import Read, System
from cosim.units import seconds

RISE = 1e-9
VOLTS = 0.2


def strobes(
    conductance: np.ndarray, backend: str = "behavioral", *, charged: bool = True, inputs: float = 1.0, wire: float = 1.0,
    farad: float = 1e-12, sink: float = 100.0, full: float | None = None, comparator: Comparator | None = None,
    window: float = 0.01, **options: str,
) -> tuple[System, float]:  # fmt: skip
    """Return a system after one read of a tile, and the time from the end of the edge to its strobe [s]."""
    gain = 1e4
    sense = Sense(strobe="self-timed", window=window, gain=gain, input_resistance=sink)
    bits = Adc(kind="ideal", bits=12, range="calibrated" if full is None else (0.0, full * gain))
    parts = Hardware(
        ArraySpec(*conductance.shape, WireSpec(word_line=wire, bit_line=wire, capacitance=farad)), Resistor(),
        Cell("1R"), adc=bits, driver=Driver(output_resistance=1e4, rise=RISE, fall=RISE), sense=sense,
        comparator=comparator or Comparator(delay=0.0),
    )  # fmt: skip
    system = System(Trace(), 5)
    made = find(backend)(**options)
    system.add_tile("t", parts, dict.fromkeys(PHASE_KINDS, made), conductance, charged=charged)
    vectors = np.full((1, len(conductance)), inputs)
    try:
        system.run([Read(("t",), vectors, VOLTS, None, None)])
    finally:
        made.close()
    duration = seconds(int(system.trace.phases.column("duration_fs")[0]))
    return system, duration - 2 * RISE - sense.sample_time


MAP = np.random.default_rng(3).uniform(1e-6, 2e-5, (8, 8))


@pytest.mark.parametrize("window", [0.1, 0.01])
def test_one_line_is_strobed_after_tau_ln_one_over_the_window(window: float) -> None:
    """One cell G behind R on a line of C: tau = C/(1/R + G); an edge of T leaves tau/T (1 - exp(-T/tau)) of the step."""
    g, r, c = 1e-5, 1e4, 1e-12
    tau = c / (1 / r + g)
    final = VOLTS * g / (1 + g * r)
    system, time = strobes(np.array([[g]]), wire=0.0, sink=0.0, full=final, window=window, fidelity="rc")
    left = tau / RISE * (1 - math.exp(-RISE / tau))
    assert time == pytest.approx(tau * math.log(left / window), rel=0.01)
    assert system.trace.phases.column("duration_from")[0] == "self-timed"


def test_every_current_is_within_the_window_and_one_is_at_its_rim() -> None:
    system, _ = strobes(MAP, fidelity="rc")
    late, _ = strobes(MAP, window=1e-5, fidelity="rc")
    full = (VOLTS * MAP.sum(axis=0)).max()
    found, settled = (s.trace.values.column("value") for s in (system, late))
    assert np.abs(found - settled).max() == pytest.approx(
        0.01 * full, abs=2 * full / 4096
    )  # steps of the ADC


@pytest.mark.ngspice
def test_ngspice_strobes_at_the_same_instant() -> None:
    _, behavioral = strobes(MAP, fidelity="rc")
    _, ngspice = strobes(MAP, "ngspice")
    assert ngspice == pytest.approx(behavioral, rel=0.01)


def test_small_inputs_settle_sooner() -> None:
    full = float((VOLTS * MAP.sum(axis=0)).max())
    times = [strobes(MAP, full=full, inputs=x, fidelity="rc")[1] for x in (0.0, 0.1, 1.0)]
    assert times[0] < 1e-14
    assert times[0] < times[1] < times[2]


def test_delay_is_added_and_an_offset_widens_the_window() -> None:
    full = float((VOLTS * MAP.sum(axis=0)).max())
    _, plain = strobes(MAP, full=full, fidelity="rc")
    system, slow = strobes(MAP, full=full, comparator=Comparator(delay=2e-9), fidelity="rc")
    assert slow - plain == pytest.approx(2e-9, abs=0.003 * plain)
    assert "comparator" in set(system.trace.energies.column("component"))
    offset = Comparator(delay=0.0, current_offset=0.01 * full)
    wide, double = (
        strobes(MAP, full=full, comparator=offset, fidelity="rc")[1],
        strobes(MAP, full=full, window=0.02, fidelity="rc")[1],
    )
    assert wide == pytest.approx(double, rel=1e-4)


def test_lines_without_charge_are_strobed_at_the_end_of_the_edge() -> None:
    _, time = strobes(MAP, charged=False)
    assert time == pytest.approx(1e-15, rel=0.1)
    system, time = strobes(MAP, charged=False, comparator=Comparator(delay=2e-9))
    assert time == pytest.approx(2e-9)
    assert read_timing(system.tiles["t"]).origin == "self-timed"


@pytest.mark.parametrize("kind", ["integrator", "comparator"])
def test_what_does_not_watch_currents_is_refused(kind: str) -> None:
    with pytest.raises(DeviceError, match=r"sense\.kind: must be tia, current-mirror or voltage-divider"):
        Sense(kind=kind, strobe="self-timed")  # type: ignore[arg-type]


def test_a_script_is_refused() -> None:
    with pytest.raises(UnsupportedRequestError, match="a script does not say when lines have settled"):
        strobes(MAP, "scripted")


def test_an_offset_that_leaves_no_window_is_refused() -> None:
    with pytest.raises(DeviceError, match=r"comparator\.current_offset: must be above .* widen the window"):
        strobes(MAP, comparator=Comparator(current_offset=-1e-3), fidelity="rc")
