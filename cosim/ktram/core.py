"""A kT-RAM core: lanes of addressable differential memristor pairs, with their voltages, widths and noise.

The constructor, methods and defaults are those of the kT-RAM neural core emulator; so are the results, draw
by draw, from the same seed. State is one array for the core; lanes, spaces and devices are views.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from cosim.errors import KtramError, UnknownKeyError
from cosim.ktram.aat import AAT, AddressBook
from cosim.ktram.fidelity import Fidelity, fidelity_for
from cosim.ktram.instructions import FORWARD, Instruction, resolve
from cosim.ktram.lane import NeuralLane
from cosim.ktram.models import INIT_TYPES
from cosim.ktram.mss import MSSProfile, law_for
from cosim.ktram.noise import (
    COMPARATOR_CODE,
    FLICKER_DECADES,
    NOISE_FLICKER,
    NOISE_THERMAL,
    READ_NOISE,
    ROOM_TEMPERATURE_K,
    checked_code,
    comparator_code_for,
    comparator_volts,
    sigma,
)
from cosim.ktram.topology import topology_for

if TYPE_CHECKING:
    from cosim.ktram.lane_network import LaneCircuit

MODEL_DEFAULTS: Final = {
    "float": (1.0, 0.05, 1e-6),
    "byte": (1.0, 0.05, 1e-6),
    "rs": (1.0, 0.05, 1e-8),
    "mss": (0.25, 0.05, 1e-6),
}
"""Standard voltage [V], low voltage [V] (reverse: both negative) and pulse width [s] of each model."""


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise KtramError(f"Core.{name}: must be an integer of at least 1, not {value!r}")
    return int(value)


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise KtramError(f"Core.{name}: must be finite, not {value}")
    return value


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise KtramError(f"Core.{name}: must be finite and above zero, not {value}")
    return value


@final
class Core:
    """A core of ``num_lanes`` lanes with ``spaces_per_lane`` spaces of ``crossbar_rows`` x ``crossbar_cols``.

    ``model``: float, byte, rs or mss (``profile`` for mss); ``init``: a name of `INIT_TYPES`; ``seed`` serves
    initial conductances, switching and read noise, in the order of the calls. Voltages [V] and widths [s]
    default per model (`MODEL_DEFAULTS`). ``read_noise`` and the arguments after it: see `cosim.ktram.noise`;
    ``fidelity``: ``ideal``, or with ``circuit`` around the devices ``physical`` or ``spice`` (`cosim.ktram.circuit`).
    ``topology``: ``2-1`` as in the emulator, or ``1-2`` (`cosim.ktram.topology`).
    ``read_noise_ref_m`` defaults to the model's highest conductance, ``read_noise_ref_pw`` to the pulse width.

    ``state`` has the shape ``(lanes, kT-bits, 2)`` with kT-bit = space * size + address, a-side then b-side.
    Raises `KtramError` for a bad value, `UnknownKeyError` for a bad name.
    """

    def __init__(
        self,
        crossbar_rows: int,
        crossbar_cols: int,
        spaces_per_lane: int = 1,
        num_lanes: int = 1,
        model: str = "float",
        fidelity: str | Fidelity = "ideal",
        init: str = "medium",
        seed: Any = None,
        profile: MSSProfile | None = None,
        forward_voltage: float | None = None,
        reverse_voltage: float | None = None,
        forward_low_voltage: float | None = None,
        reverse_low_voltage: float | None = None,
        pulse_width: float | None = None,
        read_pulse_width: float | None = None,
        read_noise: float = READ_NOISE,
        noise_thermal: float = NOISE_THERMAL,
        noise_flicker: float = NOISE_FLICKER,
        temperature: float = ROOM_TEMPERATURE_K,
        read_noise_ref_m: float | None = None,
        read_noise_ref_pw: float | None = None,
        flicker_decades: float = FLICKER_DECADES,
        comparator_enabled: bool = True,
        comparator_code: int = COMPARATOR_CODE,
        topology: str = "2-1",
        circuit: LaneCircuit | None = None,
    ) -> None:
        self.crossbar_rows = _count("crossbar_rows", crossbar_rows)
        self.crossbar_cols = _count("crossbar_cols", crossbar_cols)
        self.spaces_per_lane = _count("spaces_per_lane", spaces_per_lane)
        self.num_lanes = _count("num_lanes", num_lanes)
        self.model_name = model.lower()
        self.init_name = init.lower()
        self.law = law_for(self.model_name, profile)
        self.fidelity = (
            fidelity if isinstance(fidelity, Fidelity) else fidelity_for(fidelity.lower(), circuit)
        )
        self.fidelity_name = self.fidelity.name
        if self.init_name not in INIT_TYPES:
            raise UnknownKeyError(f"Core.init: must be one of {', '.join(INIT_TYPES)}, not '{init}'")
        self.profile = getattr(self.law, "profile", profile)
        self.rng = np.random.default_rng(seed)
        standard, low, width = MODEL_DEFAULTS[self.model_name]
        self.forward_voltage, self.reverse_voltage = standard, -standard
        self.forward_low_voltage, self.reverse_low_voltage = low, -low
        self.pulse_width = width
        self.set_voltages(forward_voltage, reverse_voltage, forward_low_voltage, reverse_low_voltage)
        if pulse_width is not None:
            self.set_pulse_width(pulse_width)
        self.topology = topology_for(topology, self.law.g_max)
        self._build()
        self.read_noise, self.noise_thermal, self.noise_flicker = READ_NOISE, NOISE_THERMAL, NOISE_FLICKER
        self.temperature, self.flicker_decades = ROOM_TEMPERATURE_K, FLICKER_DECADES
        self.read_noise_ref_m: float = self.law.g_max
        self.read_noise_ref_pw = self.read_pulse_width = self.pulse_width
        if read_pulse_width is not None:
            self.set_read_pulse_width(read_pulse_width)
        self.set_read_noise(
            read_noise,
            noise_thermal,
            noise_flicker,
            temperature,
            read_noise_ref_m,
            read_noise_ref_pw,
            flicker_decades,
        )
        self.comparator_enabled = bool(comparator_enabled)
        self.comparator_code = checked_code(comparator_code)

    def _build(self) -> None:
        """Draw the initial state: lane by lane, space by space, the a-side's devices before the b-side's."""
        size = self.crossbar_rows * self.crossbar_cols
        mean, spread = INIT_TYPES[self.init_name]
        shape = (self.num_lanes, self.spaces_per_lane, 2, size)
        drawn = self.law.initial(mean, spread, shape, self.rng).transpose(0, 1, 3, 2)
        self.state = np.ascontiguousarray(drawn, dtype=self.law.dtype).reshape(self.num_lanes, -1, 2)
        self.book = AddressBook(self.spaces_per_lane, size)
        self._lanes = [NeuralLane(self, index) for index in range(self.num_lanes)]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_lanes"] = [lane.y for lane in self._lanes]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        state.setdefault("read_pulse_width", state["pulse_width"])
        state.setdefault("comparator_enabled", True)
        state.setdefault("comparator_code", COMPARATOR_CODE)
        latched = state.pop("_lanes")
        self.__dict__.update(state)
        self._lanes = [NeuralLane(self, index) for index in range(self.num_lanes)]
        for lane, y in zip(self._lanes, latched, strict=True):
            lane.y = y

    def lane(self, index: int = 0) -> NeuralLane:
        """Return a lane; raises `KtramError` for a number outside of the core."""
        if not 0 <= index < self.num_lanes:
            raise KtramError(f"Core.lane: must be within 0..{self.num_lanes - 1}, not {index}")
        return self._lanes[index]

    def evaluate(
        self, aat: AAT, instruction: str | Instruction, lane_index: int = 0, noise: float = 0.0
    ) -> float:
        """Carry out one instruction on a lane; see `NeuralLane.evaluate`."""
        return self.lane(lane_index).evaluate(aat, instruction, noise)

    def v_app(self, instruction: str | Instruction) -> float:
        """Return the signed voltage [V] of the rails for an instruction."""
        rule = resolve(instruction)
        if rule.direction == FORWARD:
            return self.forward_low_voltage if rule.low else self.forward_voltage
        return self.reverse_low_voltage if rule.low else self.reverse_voltage

    def drive_voltage(self, direction: str) -> float:
        """Return the standard voltage [V] of ``forward`` or ``reverse``."""
        return self.forward_voltage if direction == FORWARD else self.reverse_voltage

    @property
    def comparator_noise(self) -> float:
        """Input-referred noise [V rms] of the comparator; 0 where it is off."""
        return comparator_volts(self.comparator_code) if self.comparator_enabled else 0.0

    def read_sigma(self, y: float, m: float, v_app: float) -> float:
        """Return the standard deviation of a read of ``y`` at total conductance ``m`` and ``v_app`` [V]."""
        return sigma(
            y,
            m,
            v_app,
            read_noise=self.read_noise,
            noise_thermal=self.noise_thermal,
            noise_flicker=self.noise_flicker,
            temperature=self.temperature,
            m_ref=self.read_noise_ref_m,
            width=self.read_pulse_width,
            width_ref=self.read_noise_ref_pw,
            flicker_decades=self.flicker_decades,
            comparator=self.comparator_noise,
            terms=self.topology.noise_terms(y, m),
        )

    def read_sample(self, y_clean: float, m: float, v_app: float) -> float:
        """Return a read of ``y_clean`` with noise, within its range; without read noise nothing is drawn."""
        if self.read_noise <= 0.0 or m <= 0.0:
            return y_clean
        y = y_clean + self.read_sigma(y_clean, m, v_app) * float(self.rng.standard_normal())
        limit = self.topology.limit
        return -limit if y < -limit else (limit if y > limit else y)

    def set_voltages(
        self,
        forward_voltage: float | None = None,
        reverse_voltage: float | None = None,
        forward_low_voltage: float | None = None,
        reverse_low_voltage: float | None = None,
    ) -> None:
        """Set rail voltages [V]; None leaves one as it is."""
        if forward_voltage is not None:
            self.forward_voltage = _finite("forward_voltage", forward_voltage)
        if reverse_voltage is not None:
            self.reverse_voltage = _finite("reverse_voltage", reverse_voltage)
        if forward_low_voltage is not None:
            self.forward_low_voltage = _finite("forward_low_voltage", forward_low_voltage)
        if reverse_low_voltage is not None:
            self.reverse_low_voltage = _finite("reverse_low_voltage", reverse_low_voltage)

    def set_pulse_width(self, dt: float) -> None:
        """Set the width [s] of the driving pulse; the read pulse width stays."""
        self.pulse_width = _positive("pulse_width", dt)

    def set_read_pulse_width(self, dt: float) -> None:
        """Set the read pulse width [s], which is the bandwidth of the read noise and nothing else."""
        self.read_pulse_width = _positive("read_pulse_width", dt)

    def set_read_noise(
        self,
        read_noise: float | None = None,
        noise_thermal: float | None = None,
        noise_flicker: float | None = None,
        temperature: float | None = None,
        read_noise_ref_m: float | None = None,
        read_noise_ref_pw: float | None = None,
        flicker_decades: float | None = None,
    ) -> None:
        """Set parameters of the read noise (`cosim.ktram.noise`); None leaves one as it is."""
        if read_noise is not None:
            self.read_noise = _finite("read_noise", read_noise)
        if noise_thermal is not None:
            self.noise_thermal = _finite("noise_thermal", noise_thermal)
        if noise_flicker is not None:
            self.noise_flicker = _finite("noise_flicker", noise_flicker)
        if temperature is not None:
            self.temperature = _positive("temperature", temperature)
        if read_noise_ref_m is not None:
            self.read_noise_ref_m = _positive("read_noise_ref_m", read_noise_ref_m)
        if read_noise_ref_pw is not None:
            self.read_noise_ref_pw = _positive("read_noise_ref_pw", read_noise_ref_pw)
        if flicker_decades is not None:
            self.flicker_decades = _positive("flicker_decades", flicker_decades)

    def set_comparator(self, enabled: bool | None = None, code: int | None = None) -> None:
        """Switch the comparator, set its register (0..255), or both."""
        if enabled is not None:
            self.comparator_enabled = bool(enabled)
        if code is not None:
            self.comparator_code = checked_code(code)

    def set_comparator_noise(self, v_n: float, round_ok: bool = False) -> int:
        """Set the comparator register from a noise [V rms]; return the register value."""
        self.comparator_code = comparator_code_for(v_n, round_ok=round_ok)
        return self.comparator_code

    def read_gab(self, lane_index: int, aat: AAT) -> Any:
        """Return (Ga, Gb) of the one enabled space, else a list of them; reads the state, draws nothing."""
        pairs = [space.conductances(address) for space, address in self._enabled(lane_index, aat)]
        return pairs[0] if len(pairs) == 1 else pairs

    def set_gab(self, lane_index: int, aat: AAT, ga: float, gb: float) -> None:
        """Set every enabled space's kT-bit to (Ga, Gb), limited to the model's range."""
        for space, address in self._enabled(lane_index, aat):
            space.a.device_at(address).set_g(ga)
            space.b.device_at(address).set_g(gb)

    def set_start_y(self, lane_index: int, aat: AAT, y0: float, level: float = 0.5) -> None:
        """Set every enabled kT-bit to activation ``y0``: G_max * level * (1 + y0) and (1 - y0)."""
        centre = level * self.law.g_max
        self.set_gab(lane_index, aat, centre * (1 + y0), centre * (1 - y0))

    def _enabled(self, lane_index: int, aat: AAT) -> list[tuple[Any, int]]:
        self.book.active(aat)  # checks length and addresses
        spaces = self.lane(lane_index).spaces
        return [(spaces[k], address) for k, address in enumerate(aat) if address is not None]
