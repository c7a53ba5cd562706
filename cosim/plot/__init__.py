"""Figures for papers, with matplotlib: every function draws on axes of yours (or new ones) and returns them.

Names: `crossbar` (node voltages and branch currents of a solved array), `iv_loop`, `pulse_response`, `conductance_map`,
`energy`, `timeline`, `read_errors`; `ResultPlots` offers those of a run as ``result.plot``. `STYLE` holds matplotlib
settings for a column of a paper: ``with matplotlib.rc_context(cosim.plot.STYLE): ...``. Axes carry units; save as
``.svg`` or ``.pdf`` for vectors.
"""

from cosim.plot.arrays import conductance_map, crossbar
from cosim.plot.curves import iv_loop, pulse_response
from cosim.plot.runs import ResultPlots, energy, read_errors, timeline
from cosim.plot.style import STYLE

__all__ = [
    "STYLE",
    "ResultPlots",
    "conductance_map",
    "crossbar",
    "energy",
    "iv_loop",
    "pulse_response",
    "read_errors",
    "timeline",
]
