"""Device models and presets by name, ours and those of other packages (entry points).

A package offers a model through the entry-point group ``cosim.devices`` (a `DeviceModel` class) and a
preset through ``cosim.device_presets`` (a model value, or a mapping of name to model value).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points

from cosim.devices.base import DeviceModel
from cosim.devices.data_driven import DataDriven
from cosim.devices.fefet import Fefet
from cosim.devices.ion_drift import IonDrift
from cosim.devices.kt_steps import PRESETS as KT_STEPS
from cosim.devices.kt_steps import Byte, Float
from cosim.devices.mss import Mss
from cosim.devices.mtj import PRESETS as MTJS
from cosim.devices.mtj import Mtj
from cosim.devices.nonlinear_ion_drift import NonlinearIonDrift
from cosim.devices.pcm import PRESETS as PCMS
from cosim.devices.pcm import Pcm
from cosim.devices.programming_error import PRESETS as PROGRAMMING_ERRORS
from cosim.devices.programming_error import ProgrammingError
from cosim.devices.pulse_law import PRESETS as PULSE_LAWS
from cosim.devices.pulse_law import PulseLaw
from cosim.devices.pulse_table import PulseTable
from cosim.devices.resistor import Resistor
from cosim.devices.rs import RS_JSPICE, RS_KTRAM, Rs
from cosim.devices.sky130_reram import Sky130Reram
from cosim.devices.stanford import Stanford
from cosim.devices.steps import PRESETS as STEPS
from cosim.devices.steps import ExpStep, LinearStep, PiecewiseStep, PowStep, SoftBounds
from cosim.devices.team import Team
from cosim.devices.vteam import Vteam
from cosim.devices.yakopcic import Yakopcic
from cosim.errors import UnknownNameError

_OURS: Mapping[str, type[DeviceModel]] = {
    model.name: model
    for model in (
        Mss,
        Rs,
        Resistor,
        IonDrift,
        NonlinearIonDrift,
        Vteam,
        Yakopcic,
        Team,
        Stanford,
        DataDriven,
        Sky130Reram,
        Fefet,
        PulseLaw,
        PulseTable,
        SoftBounds,
        LinearStep,
        ExpStep,
        PowStep,
        PiecewiseStep,
        Float,
        Byte,
        Mtj,
        Pcm,
        ProgrammingError,
    )
}
_PRESETS: Mapping[str, DeviceModel] = {
    "rs-ktram": RS_KTRAM,
    "rs-jspice": RS_JSPICE,
    "mss-ktram": Mss(),
    "ion-drift-hp": IonDrift(),
    "nonlinear-ion-drift-team": NonlinearIonDrift(beta=9.0, chi=0.01),
    "vteam-memtorch": Vteam(),
    "yakopcic-sample": Yakopcic(),
    "stanford-pku": Stanford(),
    "data-driven-tiox": DataDriven(),
    "sky130-reram": Sky130Reram(),
    "fefet-hzo": Fefet(),
    "mss-knowm": Mss(r_on=500.0, r_off=1500.0, tau=1e-4, phi=0.8),
    **PULSE_LAWS,
    **STEPS,
    **KT_STEPS,
    **MTJS,
    **PCMS,
    **PROGRAMMING_ERRORS,
    "mss-firm": Mss(r_on=100e3, r_off=1e6, v_on=0.6, v_off=0.6, tau=10e-6),
    "mss-knowm-w-sdc": Mss(r_on=1.13e3, r_off=202e3, v_on=0.427, v_off=0.127, tau=47.5e-6),
    "yakopcic-knowm-w-sdc": Yakopcic(
        a1=1.31081e-3, a2=2.65822e-4, b=1.48606, v_p=0.229535, v_n=0.203707, a_p=3459.83, a_n=39077.4
    ),
}
_MLP = "MLP-NeuroSim 3.0 manual; "
_PRESET_SOURCES: Mapping[str, str] = {
    "pulse-law-taox-hfox": _MLP + "TaOx/HfOx, Wu et al., VLSI Technology 2018",
    "pulse-law-taox-tio2": _MLP + "TaOx/TiO2, table I",
    "pulse-law-alox-hfo2": _MLP + "AlOx/HfO2, Woo et al., IEEE EDL 37, 994 (2016)",
    "pulse-law-pcmo": _MLP + "PCMO, Park et al., IEDM 2013",
    "pulse-law-ag-a-si": _MLP + "Ag:a-Si, Jo et al., Nano Letters 10, 1297 (2010)",
    "pulse-law-epiram": _MLP + "EpiRAM, Choi et al., Nature Materials 17, 335 (2018)",
    "pulse-law-gst-pcm": _MLP + "GST PCM, Kuzum et al., Nano Letters 12, 2179 (2012)",
    "pulse-law-hzo-fefet": _MLP + "HZO FeFET, Jerry et al., IEDM 2017",
    "soft-bounds-reram": "Gong et al., IEDM 2022, HfO2 baseline, as in the IBM analog hardware acceleration kit",
    "soft-bounds-reram-optimized": "Gong et al., IEDM 2022, optimized material, as in the IBM analog hardware acceleration kit",
    "exp-step-reram": "Gong et al., Nature Communications 9, 2102 (2018), as in the IBM analog hardware acceleration kit",
    "linear-step-ecram": "Tang et al., IEDM 2018, lithium ECRAM, as in the IBM analog hardware acceleration kit",
    "linear-step-ecram-mo": "Kim et al., IEDM 2019, metal-oxide ECRAM, as in the IBM analog hardware acceleration kit",
    "stanford-pku": "Stanford-PKU set of MemTorch, Lammie et al., arXiv 2004.10971",
    "data-driven-tiox": "Messaris et al., IEEE TCAD 37(12), 3151 (2018), TiOx, set of MemTorch",
    "fefet-hzo": "Jerry et al., IEDM 2017, HZO FeFET, defaults of fefet",
    "mss-knowm": "Knowm MMSS set of models-4-all and jspice: 500 ohm to 1.5 kohm, Schottky current",
    "rs-ktram": "kT-RAM neural core, rs model",
    "rs-jspice": "jspice, RS model",
    "mss-ktram": "kT-RAM neural core, default MSS profile",
    "ion-drift-hp": "defaults of ion_drift, each with its source",
    "nonlinear-ion-drift-team": "nonlinear_ion_drift: beta and chi of the preset, the rest its sourced defaults",
    "vteam-memtorch": "VTEAM set of MemTorch, Lammie et al., arXiv 2004.10971",
    "yakopcic-sample": "Yakopcic et al., IEEE TCAD 32(8), 1201 (2013), sample set",
    "sky130-reram": "SkyWater SKY130 open PDK, model of its ReRAM cell, defaults of sky130_reram",
    "mtj-stt-neurosim": "MLP-NeuroSim 3.0, STT-MRAM; dynamics: defaults of mtj",
    "mtj-stt-nvsim": "NVSim STT-MRAM cell: 3 kohm and 6 kohm, 80 uA, 10 ns; dynamics: defaults of mtj",
    "pcm-ibm": "Nandakumar et al., ICECS 2019, as in the IBM analog hardware acceleration kit",
    "rram-milo": "Milo et al., IRPS 2021, IGVVA-100, as in CrossSim",
    "rram-wan": "Wan et al., Nature 608, 504 (2022), fits of the IBM analog hardware acceleration kit",
    "sonos-40nm": "SONOS of 40 nm, IEDM 2022, as in CrossSim",
    "rram-cmo": "Falcone et al., CMO/HfOx, 2 % window, as in the IBM analog hardware acceleration kit",
    "mss-firm": "cosim: mss with firm thresholds and the range of TaOx/HfOx RRAM, Wu et al., VLSI Technology 2018",
    "yakopcic-knowm-w-sdc": "cosim: fit to 18 measured loops of two W+SDC devices, Knowm Memristor Discovery, Knowm Inc., 2020",
    "mss-knowm-w-sdc": "cosim: fit to 18 measured loops of two W+SDC devices, Knowm Memristor Discovery, Knowm Inc., 2020",
}


@cache
def models() -> Mapping[str, type[DeviceModel]]:
    """Return every device model class by its name."""
    found = dict(_OURS)
    for point in entry_points(group="cosim.devices"):
        if point.name not in found:
            found[point.name] = point.load()
    return found


@cache
def presets() -> Mapping[str, DeviceModel]:
    """Return the parameter sets that have a name of their own, ours and those of other packages."""
    found = dict(_PRESETS)
    for point in entry_points(group="cosim.device_presets"):
        offered = point.load()
        for name, value in ({point.name: offered} if isinstance(offered, DeviceModel) else offered).items():
            found.setdefault(name, value)
    return found


def preset_sources() -> Mapping[str, str]:
    """Return where the numbers of each preset come from, by its name; its model's reference where none is told."""
    return {name: _PRESET_SOURCES.get(name, model.reference) for name, model in _PRESETS.items()}


def find(name: str) -> type[DeviceModel]:
    """Return the model class called ``name``; `UnknownNameError` lists the known ones."""
    known = models()
    if name not in known:
        raise UnknownNameError(unknown("device model", name, known))
    return known[name]


def find_preset(name: str) -> DeviceModel:
    """Return the preset called ``name``; `UnknownNameError` lists the known ones."""
    known = presets()
    if name not in known:
        raise UnknownNameError(unknown("device preset", name, known))
    return known[name]


def unknown(what: str, name: str, known: Mapping[str, object]) -> str:
    """Return the sentence for a name that nothing is registered under."""
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(sorted(known))}"
    return f"there is no {what} called '{name}'; {hint}"
