"""Characterization of device models: the curves that a laboratory would measure, as tables and a figure.

Names: `characterize`, `Characterization`, `Conditions`.
"""

from cosim.characterize.curves import Conditions
from cosim.characterize.study import Characterization, characterize

__all__ = ["Characterization", "Conditions", "characterize"]
