"""Physical and SPICE fidelity: an instruction is a phase of the lane's network, answered by a backend.

The unit crossbars of all enabled spaces are joined: selected word lines of the a-sides at the upper rail,
selected bit lines of the b-sides at the lower one, and the selected lines between them at the lane's node. So
current that goes through unselected lines (sneak paths), wire resistance, and the motion of the node and of every
device during the pulse belong to the result. Wires have no capacitance here: a pulse is settled from its begin on.

1-2 topology: one rail at the selected word lines of both sides, and two outputs at their selected bit lines.

`byte` and `float` have no differential equation: their network is solved with conductances times a scale, and each
device then makes its own step with the voltage that it saw (``operator_split``). `mss` follows the mean of its switches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from cosim.crossbar.backend import CrossbarBackend, PhaseRequest, PhaseResult, find
from cosim.crossbar.drive import GroupedDrives, Phase
from cosim.crossbar.network import Network
from cosim.errors import KtramError
from cosim.ktram.fidelity import Fidelity, read_voltage
from cosim.ktram.instructions import H, Instruction
from cosim.ktram.lane_devices import scale_of, state_of, stored_of, temperature_of
from cosim.ktram.lane_network import LaneCircuit, LaneNetwork, lane_network
from cosim.ktram.models import RsLaw
from cosim.ktram.mss import MssLaw
from cosim.ktram.topology import OneTwo
from cosim.units import femtoseconds, seconds

if TYPE_CHECKING:
    from cosim.ktram.aat import Active
    from cosim.ktram.lane import NeuralLane

_KEPT_NETWORKS = 256
_STROBE_FS = 0


@final
@dataclass(frozen=True, eq=False)
class InstructionRecord:
    """What one instruction did on the circuit: ``result`` as the backend gave it, ``network`` it was asked for.

    ``node_voltage`` [V]: of the node at the begin (1-2: 0 in a read). ``rail_current`` [A]: into the upper rail at
    the begin. ``scale`` [S]: conductance of one unit of the model (1 for rs and mss).
    """

    network: Network
    result: PhaseResult
    node_voltage: float
    rail_current: float
    scale: float

    @property
    def energy(self) -> float:
        """Energy that the drivers delivered, less what they took back [J]."""
        return float(self.result.energy.delivered.sum() - self.result.energy.absorbed.sum())


@final
class Circuit(Fidelity):
    """Instructions as phases on a backend, found by its name: ``physical`` (behavioral) and ``spice`` (ngspice)."""

    def __init__(
        self, name: str, circuit: LaneCircuit | None = None, backend: str = "behavioral", **options: Any
    ) -> None:
        self.name = name
        self.circuit = circuit or LaneCircuit()
        self.backend_name, self.options = backend, options
        self._backend: CrossbarBackend | None = None
        self._networks: dict[tuple[int, ...], LaneNetwork] = {}

    def __getstate__(self) -> tuple[str, LaneCircuit, str, dict[str, Any]]:
        return self.name, self.circuit, self.backend_name, self.options

    def __setstate__(self, state: tuple[str, LaneCircuit, str, dict[str, Any]]) -> None:
        self.__init__(*state[:3], **state[3])

    @property
    def backend(self) -> CrossbarBackend:
        """The backend; made when the first instruction needs it."""
        if self._backend is None:
            self._backend = find(self.backend_name)(**self.options)
        return self._backend

    def close(self) -> None:
        """Close the backend; the next instruction opens it again."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None

    def execute(self, lane: NeuralLane, active: Active, instruction: Instruction, noise: float) -> float:
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
        record = pulse.run(v_app, forced)
        if instruction.reads:
            lane.y = core.read_sample(pulse.activation(record, v_app), pulse.magnitude, v_app)
        pulse.commit(record)
        lane.record = record
        return lane.y

    def network(self, lane: NeuralLane, numbers: tuple[int, ...]) -> LaneNetwork:
        """Return the network of a lane with these kT-bits selected; that of all lanes of its core."""
        if numbers not in self._networks:
            if len(self._networks) >= _KEPT_NETWORKS:
                self._networks.clear()
            self._networks[numbers] = lane_network(lane.core, numbers, self.circuit)
        return self._networks[numbers]


@final
class _Pulse:
    """One pulse on the selected kT-bits of a lane."""

    def __init__(self, fidelity: Circuit, lane: NeuralLane, active: Active) -> None:
        core = lane.core
        self.fidelity, self.lane, self.law = fidelity, lane, core.law
        numbers = np.asarray(active) // 2 if isinstance(active, list) else np.asarray(active)
        self.numbers = tuple(numbers.tolist())
        self.spaces = numbers // core.book.size
        self.lane_network = fidelity.network(lane, self.numbers)
        self.network = self.lane_network.network
        self.one_two = isinstance(core.topology, OneTwo)
        self.scale = scale_of(core.law, fidelity.circuit.top_conductance)
        selected = core.law.conductances(lane.state[numbers].astype(np.float64))
        self.magnitude = float(np.add.accumulate(selected.sum(axis=1))[-1])

    def run(self, v_app: float, forced: float | None) -> InstructionRecord:
        """Return what the pulse did; ``forced`` [V]: the node's voltage of a feedback instruction."""
        duration = max(1, femtoseconds(self.lane.core.pulse_width))
        tracked = 0.0
        if self.fidelity.circuit.lines == "tracking":
            tracked = self._tracked(v_app) if forced is None and not self.one_two else (forced or 0.0)
        result = self._answer(v_app, forced, tracked, duration)
        index, samples = self.network.net_index, result.samples
        node = 0.0 if self.one_two else float(samples.voltage[0, index["node"]])
        return InstructionRecord(
            self.network, result, node, float(samples.current[0, index["up"]]), self.scale
        )

    def _tracked(self, v_app: float) -> float:
        """Return the voltage at which lines that follow the node have its voltage: the network is linear here."""
        at = [self._node(v_app, follow) for follow in (0.0, v_app)]
        return at[0] / (1.0 - (at[1] - at[0]) / v_app)

    def _node(self, v_app: float, follow: float) -> float:
        result = self._answer(v_app, None, follow, 1)
        return float(result.samples.voltage[0, self.network.net_index["node"]])

    def _answer(self, v_app: float, forced: float | None, tracked: float, duration: int) -> PhaseResult:
        core = self.lane.core
        phase = Phase(
            "read" if forced is None else "write",
            duration,
            self._drives(v_app, forced, tracked),
            (_STROBE_FS,),
        )
        request = PhaseRequest(self.network, self._states(), None, 0, temperature_of(core.law), phase, 0)
        return self.fidelity.backend.run(request)

    def _drives(self, v_app: float, forced: float | None, tracked: float) -> GroupedDrives:
        drives = {"up": v_app}
        if self.one_two:
            drives |= {"out_a": forced or 0.0, "out_b": -(forced or 0.0)}
        else:
            drives["down"] = -v_app
            if forced is not None:
                drives["node"] = forced
        policy = self.fidelity.circuit.lines
        if policy == "floating":
            return self.lane_network.drives(drives, (None, None))
        follow = tracked if policy == "tracking" else 0.0
        return self.lane_network.drives(drives, (follow, -follow if self.one_two else follow))

    def _cells(self) -> NDArray[Any]:
        """Return the stored values of the enabled spaces, ``(spaces, rows, columns, 2)``."""
        core = self.lane.core
        cells: NDArray[Any] = self.lane.state.reshape(-1, core.crossbar_rows, core.crossbar_cols, 2)
        selected: NDArray[Any] = cells[self.spaces]
        return selected

    def _states(self) -> tuple[NDArray[np.float64], ...]:
        stored = self._cells().astype(np.float64)
        values = state_of(self.law, stored, self.scale)
        return tuple(values[k, :, :, side].copy() for k in range(len(values)) for side in range(2))

    def activation(self, record: InstructionRecord, v_app: float) -> float:
        """Return the activation that a read sensed."""
        if not self.one_two:
            return record.node_voltage / v_app
        index, current = self.network.net_index, record.result.samples.current[0]
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

        Conductances stand still during the pulse, so the energy of a device is V^2 G t.
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


def circuit_for(name: str, circuit: LaneCircuit | None) -> Circuit:
    """Return the fidelity ``physical`` or ``spice``."""
    if name == "physical":
        chosen = circuit or LaneCircuit()
        return Circuit(name, chosen, "behavioral", fidelity="resistive" if chosen.wired else "ideal")
    return Circuit(name, circuit, "ngspice")
