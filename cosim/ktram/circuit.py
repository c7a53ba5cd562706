"""Physical and SPICE fidelity: an instruction is a phase of the lane's network, answered by a backend.

The unit crossbars of all enabled spaces are joined: selected word lines of the a-sides at the upper rail,
selected bit lines of the b-sides at the lower one, and the selected lines between them at the lane's node. So
current that goes through unselected lines (sneak paths), wire resistance, and the motion of the node and of every
device during the pulse belong to the result. Without capacitance a pulse is settled from its begin on and a read senses the
node there. With capacitance (`LaneCircuit`) a pulse is a transient from lines and node at 0 V, to which every release takes
them; a read senses the node at its strobe, settled or not.

1-2 topology: one rail at the selected word lines of both sides, and two outputs at their selected bit lines.

`byte` and `float` have no differential equation: their network is solved with conductances times a scale, and each
device then makes its own step with the voltage that it saw (``operator_split``). `mss` follows the mean of its switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult, Samples, find
from cosim.crossbar.drive import GroupedDrives, Phase
from cosim.crossbar.network import Network
from cosim.crossbar.settling import settling
from cosim.errors import KtramError
from cosim.ktram.controller import Controller
from cosim.ktram.fidelity import AT_ONCE, Fidelity, Timing, read_voltage
from cosim.ktram.instructions import H, Instruction
from cosim.ktram.lane_devices import scale_of, state_of, stored_of, temperature_of
from cosim.ktram.lane_network import LaneCircuit, LaneNetwork, lane_network
from cosim.ktram.models import RsLaw
from cosim.ktram.mss import MssLaw
from cosim.ktram.topology import OneTwo
from cosim.units import femtoseconds, seconds

if TYPE_CHECKING:
    from cosim.ktram.aat import Active
    from cosim.ktram.core import Core
    from cosim.ktram.lane import NeuralLane

_KEPT_NETWORKS = 256
_KINDS = {True: "read", False: "write"}
_SETTLING_SOLVES = 3


@final
@dataclass(frozen=True, eq=False)
class InstructionRecord:
    """What one instruction did on the circuit: ``result`` as the backend gave it, ``network`` it was asked for.

    ``node_voltage`` [V]: of the node when it was sampled (1-2: 0 in a read), ``rail_current`` [A]: into the upper rail then:
    at the begin; with capacitance at the strobe of a read, and at the end of feedback. ``scale`` [S]: conductance of one unit of
    the model (1 for rs and mss). ``unsettled``: what the activation lacked of that of a settled node.
    """

    network: Network
    result: PhaseResult
    backend: str
    kind: str
    start_fs: int
    node_voltage: float
    rail_current: float
    scale: float
    unsettled: float = 0.0

    @property
    def energy(self) -> float:
        """Energy that the drivers delivered, less what they took back [J]."""
        return float(self.result.energy.delivered.sum() - self.result.energy.absorbed.sum())


@final
class Circuit(Fidelity):
    """Instructions as phases on a backend, found by its name: ``physical`` (behavioral) and ``spice`` (ngspice).

    ``given``: a backend to use instead, which is not closed here; a copy by pickling finds its own.
    """

    def __init__(
        self,
        name: str,
        circuit: LaneCircuit | None = None,
        backend: str = "behavioral",
        given: CrossbarBackend | None = None,
        **options: Any,
    ) -> None:
        self.name = name
        self.circuit = circuit or LaneCircuit()
        self.backend_name, self.options, self._given = backend, options, given
        self._backend: CrossbarBackend | None = None
        self._networks: WeakKeyDictionary[Core, dict[tuple[LaneCircuit, tuple[int, ...]], LaneNetwork]]
        self._networks = WeakKeyDictionary()

    def __getstate__(self) -> tuple[str, LaneCircuit, str, dict[str, Any]]:
        return self.name, self.circuit, self.backend_name, self.options

    def __setstate__(self, state: tuple[str, LaneCircuit, str, dict[str, Any]]) -> None:
        self.__init__(*state[:3], **state[3])

    @property
    def backend(self) -> CrossbarBackend:
        """The backend; made when the first instruction needs it."""
        if self._given is not None:
            return self._given
        if self._backend is None:
            self._backend = find(self.backend_name)(**self.options)
        return self._backend

    def close(self) -> None:
        """Close the backend; the next instruction opens it again."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def execute(
        self,
        lane: NeuralLane,
        active: Active,
        instruction: Instruction,
        noise: float,
        timing: Timing = AT_ONCE,
    ) -> float:
        core = lane.core
        v_app = core.v_app(instruction)
        if instruction.reads and noise:
            v_app = read_voltage(v_app, noise)
        if not len(active):
            lane.y = 0.0 if instruction.reads else lane.y
            return lane.y
        if v_app == 0.0 and instruction.reads:
            raise KtramError("read voltage: must not be 0 V, where an activation has no meaning")
        pulse = _Pulse(self, lane, active)
        forced = None
        if not instruction.reads:
            sign = H(lane.y) if instruction.use_H else 1.0
            forced = instruction.coeff * core.drive_voltage(instruction.direction) * sign
        record = pulse.run(v_app, forced, timing)
        if instruction.reads:
            lane.y = core.read_sample(pulse.activation(record.result.samples, v_app), pulse.magnitude, v_app)
        pulse.commit(record)
        lane.record = record
        return lane.y

    def time_constant(self, lane: NeuralLane, active: Active) -> float | None:
        return _Pulse(self, lane, active).time_constant() if self.circuit.charged and len(active) else None

    def network(
        self, lane: NeuralLane, numbers: tuple[int, ...], circuit: LaneCircuit | None = None
    ) -> LaneNetwork:
        """Return the network of a lane with these kT-bits selected; that of all lanes of its core."""
        own, key = self._networks.setdefault(lane.core, {}), (circuit or self.circuit, numbers)
        if key not in own:
            if len(own) >= _KEPT_NETWORKS:
                own.clear()
            own[key] = lane_network(lane.core, numbers, key[0])
        return own[key]


@final
class _Pulse:
    """One pulse on the selected kT-bits of a lane."""

    def __init__(self, fidelity: Circuit, lane: NeuralLane, active: Active) -> None:
        core = lane.core
        self.fidelity, self.lane, self.law = fidelity, lane, core.law
        numbers = np.asarray(active) // 2 if isinstance(active, list) else np.asarray(active)
        self.numbers = tuple(numbers.tolist())
        self.spaces = numbers // core.book.size
        self.charged = fidelity.circuit.charged
        self.lane_network = fidelity.network(lane, self.numbers)
        self.network = self.lane_network.network
        self.one_two = isinstance(core.topology, OneTwo)
        self.scale = scale_of(core.law, fidelity.circuit.top_conductance)
        selected = core.law.conductances(lane.state[numbers].astype(np.float64))
        self.magnitude = float(np.add.accumulate(selected.sum(axis=1))[-1])

    def time_constant(self) -> float:
        """Return the slowest time constant of a read [s]; 0 where all that holds charge is held."""
        held = self.lane_network.held(self.fidelity.circuit.lines != "floating")
        device = self.network.arrays[0].device
        cells = [device.conductance(state) for state in self._states()]
        lines = any(array.segments.has_capacitance for array in self.network.arrays)
        if not lines and set(self.network.capacitance) <= set(held):
            return 0.0
        return settling(self.network, cells, driven=held, solves=_SETTLING_SOLVES).time_constant

    def run(self, v_app: float, forced: float | None, timing: Timing) -> InstructionRecord:
        """Return what the pulse did; ``forced`` [V]: the node's voltage of a feedback instruction."""
        duration, strobe = max(1, femtoseconds(self.lane.core.pulse_width)), 0
        if self.charged and forced is None:
            strobe = femtoseconds(self._settle() if timing.settle is None else timing.settle)
            duration = max(duration, strobe)
        elif self.charged:
            strobe = duration
        tracked = 0.0
        if self.fidelity.circuit.lines == "tracking":
            tracked = self._tracked(v_app) if forced is None and not self.one_two else (forced or 0.0)
        result = self._answer(v_app, forced, tracked, duration, strobe, timing.start_fs)
        index, samples = self.network.net_index, result.samples
        unsettled = 0.0
        if self.charged and forced is None:
            settled = self._still(v_app, tracked).samples
            unsettled = self.activation(samples, v_app) - self.activation(settled, v_app)
        return InstructionRecord(
            self.network, result, self.fidelity.backend.name, _KINDS[forced is None], timing.start_fs,
            0.0 if self.one_two else float(samples.voltage[0, index["node"]]),
            float(samples.current[0, index["up"]]), self.scale, unsettled,
        )  # fmt: skip

    def _settle(self) -> float:
        return Controller().settled_after(self.time_constant())

    def _tracked(self, v_app: float) -> float:
        """Return the voltage at which lines that follow the node have its voltage: the network is linear here."""
        at = [self._node(v_app, follow) for follow in (0.0, v_app)]
        return at[0] / (1.0 - (at[1] - at[0]) / v_app)

    def _node(self, v_app: float, follow: float) -> float:
        result = self._still(v_app, follow)
        return float(result.samples.voltage[0, self.network.net_index["node"]])

    def _still(self, v_app: float, tracked: float) -> PhaseResult:
        """Return a read of the settled node, as it would be at the begin: a trial, and no phase of the run."""
        fidelity = self.fidelity
        lane_network = fidelity.network(self.lane, self.numbers, fidelity.circuit.settled)
        phase = Phase("read", 1, self._drives(lane_network, v_app, None, tracked), (0,))
        return fidelity.backend.unrecorded().run(self._request(lane_network.network, phase, 0))

    def _answer(
        self, v_app: float, forced: float | None, tracked: float, duration: int, strobe: int, start_fs: int
    ) -> PhaseResult:
        drives = self._drives(self.lane_network, v_app, forced, tracked)
        phase = Phase(_KINDS[forced is None], duration, drives, (strobe,))
        return self.fidelity.backend.run(self._request(self.network, phase, start_fs))

    def _request(self, network: Network, phase: Phase, start_fs: int) -> PhaseRequest:
        temperature = temperature_of(self.lane.core.law)
        return PhaseRequest(network, self._states(), None, start_fs, temperature, phase, 0)

    def _drives(
        self, lane_network: LaneNetwork, v_app: float, forced: float | None, tracked: float
    ) -> GroupedDrives:
        drives = {"up": v_app}
        if self.one_two:
            drives |= {"out_a": forced or 0.0, "out_b": -(forced or 0.0)}
        else:
            drives["down"] = -v_app
            if forced is not None:
                drives["node"] = forced
        policy = self.fidelity.circuit.lines
        if policy == "floating":
            return lane_network.drives(drives, (None, None))
        follow = tracked if policy == "tracking" else 0.0
        return lane_network.drives(drives, (follow, -follow if self.one_two else follow))

    def _cells(self) -> NDArray[Any]:
        """Return the stored values of the enabled spaces, ``(spaces, rows, columns, 2)``."""
        core = self.lane.core
        cells: NDArray[Any] = self.lane.state.reshape(-1, core.crossbar_rows, core.crossbar_cols, 2)
        selected: NDArray[Any] = cells[self.spaces]
        return selected

    def _states(self) -> tuple[NDArray[np.float64], ...]:
        stored = self._cells().astype(np.float64)
        values = state_of(self.law, stored, self.scale).transpose(0, 3, 1, 2)
        return tuple(np.ascontiguousarray(values).reshape(-1, *values.shape[2:]))

    def activation(self, samples: Samples, v_app: float) -> float:
        """Return the activation that a read sensed."""
        index, current = self.network.net_index, samples.current[0]
        if not self.one_two:
            return float(samples.voltage[0, index["node"]]) / v_app
        topology = self.lane.core.topology
        difference = float(current[index["out_b"]] - current[index["out_a"]])  # positive into the array
        return topology.activation(difference / (v_app * self.scale), 1.0)

    def commit(self, record: InstructionRecord) -> None:
        """Put the states of all devices of the enabled spaces back."""
        core = self.lane.core
        shape = (len(self.spaces), 2, core.crossbar_rows, core.crossbar_cols)
        if isinstance(self.law, (RsLaw, MssLaw)):
            after = stored_of(self.law, np.array(record.result.states).reshape(shape))
        else:
            after = self._stepped(self._voltages(record).reshape(shape))
        self.lane.state.reshape(-1, core.crossbar_rows, core.crossbar_cols, 2)[self.spaces] = after.transpose(
            0, 2, 3, 1
        )

    def _voltages(self, record: InstructionRecord) -> NDArray[np.float64]:
        """Return the voltage over every device [V]: magnitude by its energy, sign by its lines.

        Conductances stand still during the pulse, so the energy of a device is V^2 G t; while it settles, V is the
        root of the mean square.
        """
        result, rows = record.result, self.lane.core.crossbar_rows
        ends = result.samples.voltage[0][self.lane_network.line_nets]
        over = ends[:, :rows, None] - ends[:, None, rows:]
        conductance = self.network.arrays[0].device.conductance(np.array(result.states))
        heat = np.maximum(np.array(result.energy.cells), 0.0)
        voltages: NDArray[np.float64] = np.copysign(
            np.sqrt(heat / (conductance * seconds(result.duration_fs))), over
        )
        return voltages

    def _stepped(self, voltages: NDArray[np.float64]) -> NDArray[Any]:
        """Return stored values ``(spaces, 2, rows, columns)`` after each device's own step."""
        core, before = self.lane.core, self._cells().transpose(0, 3, 1, 2)
        # what rounding leaves of a voltage must not decide a step of byte at +-0.5 V
        return self.law.step_each(before, np.round(voltages, 12), core.pulse_width, core.rng)


def fidelity_of_lines(circuit: LaneCircuit) -> Literal["ideal", "resistive", "rc"]:
    """Return the fidelity of the behavioral backend that a circuit needs."""
    if circuit.charged:
        return "rc"
    return "resistive" if circuit.wired else "ideal"


def circuit_for(name: str, circuit: LaneCircuit | None, given: CrossbarBackend | None = None) -> Circuit:
    """Return the fidelity ``physical`` or ``spice``; ``given``: see `Circuit`."""
    chosen = circuit or LaneCircuit()
    if name == "physical":
        return Circuit(name, chosen, "behavioral", given, fidelity=fidelity_of_lines(chosen))
    return Circuit(name, chosen, "ngspice", given)
