r"""How fast a driven network settles: its slowest time constant, estimated and bounded by a few solves.

With node conductances :math:`G` and capacitances :math:`C` (of lines and floating nets) the voltages relax as
:math:`C\dot v = -G v`. The slowest time constant :math:`\tau` is the largest eigenvalue of :math:`G^{-1} C`. One
solve takes a positive vector :math:`v` (first all ones: the ratios below are then the Elmore delays of the nodes; Elmore,
J. Appl. Phys. 19, 55 (1948)) to its first moment :math:`w = G^{-1} C v`, and

.. math:: \min_i w_i/v_i \le \tau \le \max_i w_i/v_i, \qquad
          \tau \approx \frac{w^T C w}{w^T G w} = \frac{w^T C w}{w^T C v} \le \tau.

The bounds hold because :math:`G^{-1} C` has no negative element (Collatz and Wielandt; Wielandt, Math. Z. 52, 642
(1950)); the quotient is Rayleigh's. Each further solve starts from :math:`w`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np

from cosim.crossbar.circuit import circuit
from cosim.crossbar.network import Network
from cosim.devices.base import FloatArray
from cosim.errors import CrossbarError


@dataclass(frozen=True, slots=True)
class Settling:
    """Slowest time constant of a network [s]: an estimate, never above the truth, and bounds that hold."""

    time_constant: float
    lower: float
    upper: float

    def settling_time(self, bits: int) -> float:
        """Return a time [s] after which every voltage is within half a step of ``bits`` bits.

        ``(bits + 1) ln 2 tau``, with the upper bound of ``tau``.
        """
        return (bits + 1) * log(2.0) * self.upper


def settling(
    network: Network,
    conductance: Sequence[FloatArray],
    *,
    driven: Collection[str] | None = None,
    capacitance: tuple[float, float] | None = None,
    solves: int = 1,
) -> Settling:
    """Estimate the slowest time constant of a network.

    Parameters
    ----------
    conductance
        Per array, what the lines see of the cells [S], ``(rows, columns)``: 0 for rows that are gated off,
        the slope of the current for nonlinear cells.
    driven
        Nets that a driver or a virtual ground holds; all by default.
    capacitance
        Of every word and every bit node [F]; that of the network by default.
    solves
        Number of solves; each sharpens estimate and bounds.

    Raises
    ------
    CrossbarError
        There is no capacitance, or ``solves`` is below 1.
    """
    if solves < 1:
        raise CrossbarError(f"solves must be at least 1, not {solves}")
    held = set(network.nets if driven is None else driven)
    lines = circuit(network, [net in held for net in network.nets], charged=True)
    charges = []
    for stack in lines.stacks:
        own = [network.arrays[k] for k in stack.members]
        pair = [
            np.repeat(
                [_of(capacitance, side, (a.segments.c_word_line, a.segments.c_bit_line)) for a in own],
                np.diff(stack.firsts),
            )
            for side in (0, 1)
        ]
        charges.append(tuple(np.broadcast_to(c[:, None], stack.shape) for c in pair))
    nets = np.array([0.0 if net in held else np.nan for net in network.nets])
    of_nets = np.where(np.isnan(nets), network.net_capacitance, 0.0)
    if not of_nets.any() and not any(c.any() for pair in charges for c in pair):
        raise CrossbarError(
            "the network has no capacitance, so nothing takes time to settle: give capacitance"
        )
    cells = [np.concatenate([conductance[k] for k in stack.members]) for stack in lines.stacks]
    u = np.ones(len(nets))
    v = [(np.ones(stack.shape), np.ones(stack.shape)) for stack in lines.stacks]
    result = Settling(0.0, 0.0, inf)
    for _ in range(solves):
        into = [(c[0] * x[0], c[1] * x[1]) for c, x in zip(charges, v, strict=True)]
        solution = lines.solve(nets, cells, into, net_injected=of_nets * u)
        w, at_nets, holding = (
            [(part.word, part.bit) for part in solution.stacks],
            solution.net_voltage,
            of_nets > 0,
        )
        top, below = float((of_nets * at_nets) @ at_nets), float((of_nets * at_nets) @ u)
        ratios = [at_nets[holding] / u[holding]]
        for c, x, y in zip(charges, v, w, strict=True):
            for side in (0, 1):
                top += float(np.vdot(c[side] * y[side], y[side]))
                below += float(np.vdot(c[side] * y[side], x[side]))
                live = c[side] > 0
                ratios += [y[side][live] / x[side][live]] if live.any() else []
        every = np.concatenate(ratios)
        result = Settling(top / below, float(every.min()), float(every.max()))
        scale = max(float(at_nets.max()), *(float(y.max()) for pair in w for y in pair))
        v, u = [(y[0] / scale, y[1] / scale) for y in w], at_nets / scale
    return result


def _of(given: tuple[float, float] | None, side: int, own: tuple[float, float]) -> float:
    return own[side] if given is None else given[side]
