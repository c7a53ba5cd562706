"""Device models fitted to measured data.

Names: `read_measurement`, `Loop`, `PulseTrain`, `Setup`, `fit`, `Fit`.
"""

from cosim.fit.measurement import Loop, PulseTrain, Setup, read_measurement
from cosim.fit.outcome import Fit
from cosim.fit.search import fit

__all__ = ["Fit", "Loop", "PulseTrain", "Setup", "fit", "read_measurement"]
