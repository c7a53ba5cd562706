"""Parts of the hardware and whole architectures by name, every entry with its source.

A mapping of a scenario that says ``preset: NAME`` takes the entries of that preset as base; what stands beside goes
before, key by key. Values are written as a scenario would write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from cosim.devices.registry import unknown
from cosim.errors import ScenarioError, UnknownNameError
from cosim.scenario.places import Document, KeyPath, merged


class Sourced(NamedTuple):
    """An entry with where its value comes from."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class HardwarePreset:
    """A named part of the hardware; ``entries``: nested mappings of keys that end in `Sourced` values."""

    summary: str
    entries: Mapping[str, Any]

    def values(self) -> dict[str, Any]:
        """Return the entries as plain values."""
        return {key: _plain(entry) for key, entry in self.entries.items()}

    def leaves(self) -> dict[str, Sourced]:
        """Return every entry by its dotted key."""
        return dict(_leaves(self.entries, ""))


def _plain(entry: Any) -> Any:
    if isinstance(entry, Sourced):
        return entry.value
    return {key: _plain(inner) for key, inner in entry.items()}


def _leaves(entries: Mapping[str, Any], prefix: str) -> list[tuple[str, Sourced]]:
    found = []
    for key, entry in entries.items():
        if isinstance(entry, Sourced):
            found.append((prefix + key, entry))
        else:
            found += _leaves(entry, f"{prefix}{key}.")
    return found


def _all(source: str, **values: Any) -> dict[str, Sourced]:
    """Return entries that have one source."""
    return {key: Sourced(value, source) for key, value in values.items()}


_MNSIM = "MNSIM 2.0, default interconnect"
_NEUROSIM = "DNN+NeuroSim V2.1, interconnect parameters (rho, aspect ratio, width by node)"
_HW = "hwcomponents-library (Accelergy), component tables"
_ISAAC = "ISAAC, Shafiee et al., ISCA 2016, table I"
_ISAAC_CS = "ISAAC, Shafiee et al., ISCA 2016, as configured in CrossSim 3"
_PUMA = "PUMA simulator constants, after ISAAC (ISCA 2016)"
_PRIME = "PRIME, Chi et al., ISCA 2016, as configured in CrossSim 3"
_TCAS = "SONOS accelerator of Xiao et al., IEEE TCAS-I 2022, as configured in CrossSim 3"
_SONOS = "Xiao et al., IEDM 2022: 40 nm SONOS, 0 to 16 uS, 1.6 uA at most"
_WAN = "Wan et al., Nature 608, 504 (2022), NeuRRAM"
_TUD = "TU Delft CIM tile simulator, configuration"
_DAFFODIL = "Daffodil board, as in XBTorch (12-bit AD5391 DAC, 12-bit ADC, reference 2.5 V)"
_MNSIM_ADC = "MNSIM 2.0, ADC table and the references named there"
_MNSIM_DAC = "MNSIM 2.0, 1-bit DAC: 3.9 uW at 1 GS/s, 0.166 um2"
_TIMELY = "TIMELY, Li et al., ISCA 2020, via hwcomponents-library"
_FIRM = "cosim preset mss-firm: a model that stands still at read voltages"
_NONE = "cosim: the source models no wires"


def _wires(node: str) -> HardwarePreset:
    return HardwarePreset(
        f"wires at {node} nm, pitch 4F",
        _all(_NEUROSIM, node=f"{node} nm", table="neurosim-2.1")
        | _all("DNN+NeuroSim V2.1, 1T1R cell of 4F width", pitch="4F"),
    )


WIRES: Mapping[str, HardwarePreset] = MappingProxyType({
    "mnsim": HardwarePreset(
        "2.82 ohm and 1 fF a cell", _all(_MNSIM, word_line="2.82 ohm", bit_line="2.82 ohm", capacitance="1 fF")
    ),
    "memtorch": HardwarePreset(
        "2 ohm a cell",
        _all("MemTorch examples, line resistance 2 ohm", word_line="2 ohm", bit_line="2 ohm")
        | _all(_NONE, capacitance="ideal"),
    ),
    "aihwkit": HardwarePreset(
        "0.35 ohm a cell",
        _all("IBM analog hardware acceleration kit, wire resistance 0.35 ohm a segment", word_line="0.35 ohm", bit_line="0.35 ohm")
        | _all(_NONE, capacitance="ideal"),
    ),
    **{f"neurosim-{node}nm": _wires(node) for node in ("130", "90", "65", "45", "32", "22", "14", "10", "7")},
})  # fmt: skip


def _mnsim_adc(bits: int, milliwatt: float, gigasamples: float, square_microns: float) -> HardwarePreset:
    energy, rate = f"{milliwatt / gigasamples:.6g} pJ", f"{gigasamples * (bits + 1):.6g} GHz"
    return HardwarePreset(
        f"{bits}-bit SAR of {milliwatt:g} mW at {gigasamples:g} GS/s",
        _all(_MNSIM_ADC, bits=bits, energy_model="fixed", energy=energy, area=f"{square_microns:g} um2")
        | _all(f"{_MNSIM_ADC}; a conversion is bits + 1 cycles of a SAR", kind="sar", clock=rate),
    )


ADCS: Mapping[str, HardwarePreset] = MappingProxyType({
    "isaac-sar": HardwarePreset(
        "8-bit SAR of 2 mW at 1.28 GS/s",
        _all(_ISAAC, kind="sar", bits=8, energy_model="isaac", area="1200 um2", node="32 nm", count=1)
        | _all(f"{_ISAAC}: 1.28 GS/s, nine cycles a conversion", clock="11.52 GHz"),
    ),
    "neurram-neuron": HardwarePreset(
        "neuron ADC of NeuRRAM, 130 nm",
        _all(f"{_WAN}: a charge-decrement comparator counts down", kind="ramp", bits=8)
        | _all(_HW + ": 0.3 pJ, 400 um2 at 130 nm", energy_model="fixed", energy="0.3 pJ", area="400 um2", node="130 nm"),
    ),
    "tu-delft": HardwarePreset(
        "2 pJ and 1 ns a conversion",
        _all(_TUD, energy_model="fixed", energy="2 pJ") | _all(f"{_TUD}: 1 ns a conversion, nine cycles of a SAR", kind="sar", clock="9 GHz"),
    ),
    "mnsim-10bit": _mnsim_adc(10, 6.92, 1.5, 1600), "mnsim-8bit": _mnsim_adc(8, 4, 1.1, 1650),
    "mnsim-6bit": _mnsim_adc(6, 1.26, 1, 580), "mnsim-4bit": _mnsim_adc(4, 0.7, 1, 500),
})  # fmt: skip

DACS: Mapping[str, HardwarePreset] = MappingProxyType({
    "mnsim-1bit": HardwarePreset(
        "1-bit row driver at 1 GS/s",
        _all(_MNSIM_DAC, bits=1, latency="1 ns", energy="3.9 fJ", bit_energy="3.9 fJ", area="0.166 um2"),
    ),
    "isaac-drive": HardwarePreset(
        "1-bit DAC of ISAAC at 10 MHz",
        _all(_ISAAC, bits=1) | _all(_HW + ": ISAAC, 0.417 pJ a drive at 10 MHz", energy="0.417 pJ", bit_energy="0.417 pJ"),
    ),
    "timely-dtc": HardwarePreset("8-bit digital-to-time converter", _all(_TIMELY, bits=8, energy="37.5 fJ")),
})  # fmt: skip

_CHOSEN = "cosim: the source gives resistances, not how they switch"
_FIRM_DEVICE = _all(_FIRM, model="mss", v_on="0.6 V", v_off="0.6 V", tau="10 us")
_IDEAL_WIRES = _all(_NONE, word_line="ideal", bit_line="ideal", capacitance="ideal")

ARCHITECTURES: Mapping[str, HardwarePreset] = MappingProxyType({
    "isaac": HardwarePreset(
        "ISAAC: 128 x 128, 2 bits a cell, 1-bit inputs, one 8-bit SAR a crossbar, two sample-and-holds",
        {
            "device": _FIRM_DEVICE | _all(_ISAAC_CS, r_on="2 kohm", r_off="2000 kohm"),
            "cell": _all("ISAAC, 1T1R cells", kind="1T1R") | _all("DNN+NeuroSim, default access resistance of 1T1R", access_resistance="15 kohm"),
            "array": _all(_ISAAC, rows=128, columns=128) | {"wires": _IDEAL_WIRES},
            "dac": _all("ISAAC: 16-bit inputs, one bit a cycle", bits=16, slice=1)
            | _all(_HW + ": ISAAC, 0.417 pJ a drive at 10 MHz", bit_energy="0.417 pJ")
            | _all("PRIME, read voltage 0.2 V, as listed by CrossSim", range=["0 V", "0.2 V"]),
            "adc": ADCS["isaac-sar"].entries,
            "sense": _all("ISAAC: sampled columns are converted while the array goes on", holds=2)
            | _all(_PUMA + ": a crossbar read of 100 ns", settling="97 ns")
            | _all(_PUMA + ": sample-and-hold 0.039 um2", hold_area="0.039 um2"),
            "sequencer": _all(_HW + ": ISAAC shift-and-add 0.021 pJ, 60 um2 for 16 bits", combine_energy="0.021 pJ", area="60 um2"),
        },
    ),
    "prime": HardwarePreset(
        "PRIME: 256 x 256, 4 bits a cell, 3-bit inputs, 6-bit ramp converters",
        {
            "device": _FIRM_DEVICE | _all(_PRIME, r_on="1 kohm", r_off="20 kohm"),
            "cell": _all(_CHOSEN + "; PRIME has 0T1R cells", kind="1R"),
            "array": _all(_PRIME, rows=256, columns=256) | {"wires": _IDEAL_WIRES},
            "dac": _all(_PRIME + ": 3-bit inputs, read voltage 0.2 V", bits=3, range=["0 V", "0.2 V"]),
            "adc": _all(_PRIME + ": 6-bit ramp", kind="ramp", bits=6),
        },
    ),
    "sonos-tcas": HardwarePreset(
        "SONOS accelerator: 1152 x 256, 8-bit inputs bit by bit, 8-bit ramp converters",
        {
            "device": _all(_SONOS, preset="sonos-40nm"),
            "cell": _all("SONOS: the select transistor of the cell", kind="1T1R") | _all("cosim: small beside 1/16 uS, for the source gives none", access_resistance="1 kohm"),
            "array": _all(_TCAS, rows=1152, columns=256) | {"wires": _IDEAL_WIRES},
            "dac": _all(_TCAS + ": 8-bit inputs, one bit a cycle", bits=8, slice=1) | _all(_SONOS + ": 16 uS give 1.6 uA at 0.1 V", range=["0 V", "0.1 V"]),
            "adc": _all(_TCAS + ": 8-bit ramp, one a column", kind="ramp", bits=8, count=256),
            "sense": _all(_TCAS + ": integrators", kind="integrator"),
        },
    ),
    "neurram": HardwarePreset(
        "NeuRRAM: a core of 256 x 256, cells of up to 40 uS, neuron converters",
        {
            "device": _all(_WAN, preset="rram-wan"),
            "cell": _all(_WAN + ": 1T1R", kind="1T1R") | _all("DNN+NeuroSim, default access resistance of 1T1R", access_resistance="15 kohm"),
            "array": _all(_WAN + ": 48 cores of 256 x 256", rows=256, columns=256) | {"wires": WIRES["neurosim-130nm"].entries},
            "dac": _all(_WAN + ": inputs of up to 8 bits", bits=8),
            "adc": {**_all(_WAN + ": one neuron a column", count=256), **ADCS["neurram-neuron"].entries},
            "sense": _all(_WAN + ": the neuron integrates charge", kind="integrator"),
            "sequencer": _all(_HW + ": NeuRRAM shift-and-add 0.1 pJ", combine_energy="0.1 pJ"),
        },
    ),
    "tu-delft-tile": HardwarePreset(
        "TU Delft CIM tile: 256 x 256, 5 kohm to 1 Mohm, 32 converters, 2 ns clock",
        {
            "device": _FIRM_DEVICE | _all(_TUD, r_on="5 kohm", r_off="1000 kohm"),
            "cell": _all(_CHOSEN, kind="1T1R") | _all("cosim: small beside 5 kohm, for the source gives none", access_resistance="500 ohm"),
            "array": _all(_TUD + ": 32 ADCs for 256 columns", rows=256, columns=256) | {"wires": _IDEAL_WIRES},
            "dac": _all(_TUD + ": read voltage 0.2 V", range=["0 V", "0.2 V"]) | _all(_TUD + ": 2 ns clock", slot="2 ns"),
            "driver": _all(_TUD + ": half of its 2 ns clock", rise="1 ns", fall="1 ns"),
            "adc": {**_all(_TUD + ": 32 ADCs for 256 columns", count=32), **ADCS["tu-delft"].entries},
            "sense": _all(_TUD + ": read 10 ns; sample-and-hold 0.9 ns, 1 fJ", settling="10 ns", sample_time="0.9 ns", sample_energy="1 fJ"),
            "sequencer": _all(_TUD + ": 2 ns clock, adder 0.25 pJ", select_time="2 ns", combine_time="2 ns", combine_energy="0.25 pJ"),
        },
    ),
    "daffodil": HardwarePreset(
        "Daffodil board: cells of 50 to 100 uS behind 12-bit converters",
        {
            "device": _FIRM_DEVICE | _all(_DAFFODIL + ": 50 to 100 uS", r_on="10 kohm", r_off="20 kohm"),
            "cell": _all("cosim: small beside 10 kohm, for the source gives none", access_resistance="500 ohm") | _all("Daffodil board: 1T1R arrays", kind="1T1R"),
            "array": _all("cosim: one kernel of the board's array, for the source gives no fixed size", rows=25, columns=25) | {"wires": _IDEAL_WIRES},
            "dac": _all(_DAFFODIL, bits=12) | _all("cosim: well below the 2.5 V reference, so that no cell switches", range=["0 V", "0.3 V"]),
            "adc": _all(_DAFFODIL, bits=12) | _all("cosim: as many as fit the currents", range="calibrated"),
            "sense": _all("Daffodil board: transimpedance amplifiers", kind="tia"),
        },
    ),
})  # fmt: skip

_JOSHI = "Joshi et al., Nature Communications 11, 2473 (2020), as in the IBM analog hardware acceleration kit"
_NANDAKUMAR = "Nandakumar et al., ICECS 2019, as in the IBM analog hardware acceleration kit"

VARIATIONS: Mapping[str, HardwarePreset] = MappingProxyType({
    "pcm-joshi": HardwarePreset(
        "drift and read noise of phase-change cells, Gmax 25 uS",
        {
            "retention": _all(_JOSHI, exponent=0.0244, slope=-0.0155, lowest=0.049, highest=0.1, reference="20 s")
            | _all(_JOSHI + ": 0.008 at the highest conductance, up to 0.045 at low ones", deviation=0.008),
            "read_noise": {
                "flicker": _all(_NANDAKUMAR, amplitude="0.88 %", exponent=0.65, largest="20 %"),
                **_all(_NANDAKUMAR + ": read time 250 ns", bandwidth="2 MHz"),
            },
        },
    ),
    "rram-rtn-ielmini": HardwarePreset(
        "random telegraph noise of HfO2 cells",
        {"read_noise": {"rtn": _all("Ielmini, Nardi, Cagli, Appl. Phys. Lett. 96, 053503 (2010); values within its range", fraction="30 %", amplitude="5 %")}},
    ),
})  # fmt: skip

SECTIONS: Mapping[tuple[str, ...], Mapping[str, HardwarePreset]] = MappingProxyType({
    ("hardware",): ARCHITECTURES,
    ("hardware", "array", "wires"): WIRES,
    ("hardware", "adc"): ADCS,
    ("hardware", "dac"): DACS,
    ("hardware", "variation"): VARIATIONS,
})  # fmt: skip
"""Where a scenario may name a preset, and those that there are."""


def find_hardware_preset(section: tuple[str, ...], name: str) -> HardwarePreset:
    """Return a preset of a section of a scenario; `UnknownNameError` lists the known ones."""
    known = SECTIONS[section]
    if name not in known:
        raise UnknownNameError(unknown(f"preset of {'.'.join(section)}", name, known))
    return known[name]


def with_presets(document: Document) -> Document:
    """Return the document with the presets that its sections name laid under them; raises `ScenarioError`.

    A device that names its model or preset takes the place of that of an architecture.
    """
    for section in SECTIONS:
        if document.known(section) != section or not isinstance(document.value(section), dict):
            continue
        here = document.value(section)
        if "preset" not in here:
            continue
        name = here.pop("preset")
        place = document.places.pop((*section, "preset"), document.file)
        try:
            values = find_hardware_preset(section, str(name)).values()
        except UnknownNameError as error:
            raise ScenarioError(place, ".".join((*section, "preset")), str(error)) from None
        device = here.get("device")
        if isinstance(device, str) or (isinstance(device, dict) and {"model", "preset"} & set(device)):
            values.pop("device", None)
        base = Document(_nested(section, values), dict.fromkeys(_paths(values, section), place))
        document = merged(base, document)
    return document


def _nested(section: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    for key in reversed(section):
        values = {key: values}
    return values


def _paths(values: Any, path: KeyPath) -> list[KeyPath]:
    found = [path]
    if isinstance(values, dict):
        for key, value in values.items():
            found += _paths(value, (*path, key))
    return found
