"""The ``ktram`` section of a scenario file: a core, its lanes, and a program of instructions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic.config import JsonDict

from cosim.errors import InputError
from cosim.ktram.controller import Controller
from cosim.ktram.datasets import DATA_SETS
from cosim.ktram.instructions import INSTRUCTIONS, resolve
from cosim.ktram.lane_network import LaneCircuit
from cosim.ktram.models import INIT_TYPES
from cosim.ktram.mss import MSSProfile
from cosim.ktram.noise import (
    COMPARATOR_CODE,
    COMPARATOR_CODE_MAX,
    FLICKER_DECADES,
    NOISE_FLICKER,
    NOISE_THERMAL,
    READ_NOISE,
    ROOM_TEMPERATURE_K,
)
from cosim.scenario.section import Section
from cosim.units import Fraction, Kelvin, Second, Volt

_EMULATOR: JsonDict = {"source": "kT-RAM neural core"}
_RECIPE: JsonDict = {"source": "kT-RAM neural core, iris example"}


def _known_init(name: str) -> str:
    if name not in INIT_TYPES:
        raise InputError(f"must be one of {', '.join(INIT_TYPES)}, not '{name}'")
    return name


def _known_instruction(name: str) -> str:
    return resolve(name).name


def _known_read(name: str) -> str:
    if not resolve(name).reads:
        reads = ", ".join(rule.name for rule in INSTRUCTIONS.values() if rule.reads)
        raise InputError(f"must be an instruction that reads, one of {reads}, not '{name}'")
    return name


InstructionName = Annotated[str, AfterValidator(_known_instruction)]
Tuples = list[list[int | None]]
"""Address tuples: an address or null for every space."""


def _above_zero(value: float | None) -> float | None:
    if value is not None and value <= 0:
        raise InputError(f"must be above zero, not {value:g}")
    return value


Width = Annotated[Second | None, AfterValidator(_above_zero)]


class KtramCoreSection(Section):
    """Devices, voltages, widths and read noise of a kT-RAM core; what is left out is the model's own."""

    model: Literal["byte", "float", "rs", "mss"] = Field(
        default="float", description="device model", json_schema_extra=_EMULATOR
    )
    init: Annotated[str, AfterValidator(_known_init)] = Field(
        default="medium", description="initial conductances", json_schema_extra=_EMULATOR
    )
    fidelity: Literal["ideal", "physical", "spice"] = Field(
        default="ideal",
        description="who carries out instructions: the emulator's arithmetic, the behavioral backend, ngspice",
    )
    topology: Literal["2-1", "1-2"] = Field(
        default="2-1",
        description="two rails and one node, or one rail and two outputs",
        json_schema_extra=_EMULATOR,
    )
    profile: MSSProfile | None = Field(default=None, description="parameters of the mss model")
    forward_voltage: Volt | None = Field(default=None, description="rails of forward instructions")
    reverse_voltage: Volt | None = Field(default=None, description="rails of reverse instructions (negative)")
    forward_low_voltage: Volt | None = Field(default=None, description="rails of FFLV")
    reverse_low_voltage: Volt | None = Field(default=None, description="rails of RFLV (negative)")
    pulse_width: Width = Field(default=None, description="how long an instruction drives the devices")
    read_pulse_width: Width = Field(
        default=None, description="bandwidth of the read noise; default: the pulse width"
    )
    read_noise: float = Field(
        default=READ_NOISE, ge=0, description="gain of the device noise; 0: none", json_schema_extra=_EMULATOR
    )
    noise_thermal: float = Field(
        default=NOISE_THERMAL, ge=0, description="weight of the thermal noise", json_schema_extra=_EMULATOR
    )
    noise_flicker: float = Field(
        default=NOISE_FLICKER, ge=0, description="weight of the flicker noise", json_schema_extra=_EMULATOR
    )
    temperature: Kelvin = Field(
        default=ROOM_TEMPERATURE_K,
        gt=0,
        description="temperature of the read noise",
        json_schema_extra=_EMULATOR,
    )
    flicker_decades: float = Field(
        default=FLICKER_DECADES, gt=0, description="decades of the 1/f band", json_schema_extra=_EMULATOR
    )
    comparator_enabled: bool = Field(
        default=True, description="whether a comparator resolves the reads", json_schema_extra=_EMULATOR
    )
    comparator_code: int = Field(
        default=COMPARATOR_CODE,
        ge=0,
        le=COMPARATOR_CODE_MAX,
        description="its noise: 100 uV and 20 uV more for each step",
        json_schema_extra=_EMULATOR,
    )


class KtramLanesSection(Section):
    """How many lanes there are and what they are made of."""

    count: int = Field(default=1, ge=1, description="number of lanes")
    spaces: int = Field(default=1, ge=1, description="spaces of a lane, that is entries of a tuple")
    rows: int = Field(default=1, ge=1, description="rows of a unit crossbar")
    columns: int = Field(default=1, ge=1, description="columns of a unit crossbar")


class ExecuteStep(Section):
    """Instructions on tuples, lane after lane."""

    tuples: Tuples = Field(min_length=1, description="an address or null for every space, tuple by tuple")
    instructions: list[InstructionName] = Field(
        min_length=1, description="carried out on a tuple one after the other"
    )
    lanes: list[int] | None = Field(default=None, description="which lanes; default: all")
    repeat: int = Field(default=1, ge=1, description="how often the tuples are gone through")
    order: Literal["given", "random"] = Field(
        default="given", description="random: as many executions, each on a tuple drawn at random"
    )
    noise: float = Field(default=0.0, ge=0, le=1, description="fraction taken off the read voltage")


class ReadTuplesStep(Section):
    """Read tuples and keep the activations."""

    tuples: Tuples = Field(min_length=1, description="an address or null for every space, tuple by tuple")
    instruction: Annotated[str, AfterValidator(_known_read)] = Field(
        default="FFLV", description="instruction that reads"
    )
    lanes: list[int] | None = Field(default=None, description="which lanes; default: all")
    noise: float = Field(default=0.0, ge=0, le=1, description="fraction taken off the read voltage")


class StartStep(Section):
    """Set kT-bits to an activation."""

    tuples: Tuples = Field(min_length=1, description="an address or null for every space, tuple by tuple")
    y: float = Field(ge=-1, le=1, description="activation of every selected kT-bit")
    level: float = Field(
        default=0.5, gt=0, description="mean conductance over the highest one", json_schema_extra=_EMULATOR
    )
    lanes: list[int] | None = Field(default=None, description="which lanes; default: all")


class ConductancesStep(Section):
    """Keep the conductances of all devices; nothing is driven."""

    lanes: list[int] | None = Field(default=None, description="which lanes; default: all")


class LoopStep(Section):
    """Steps several times over."""

    times: int = Field(ge=1, description="how often")
    steps: list[KtramStep] = Field(min_length=1, description="what is repeated")


def _known_data(name: str) -> str:
    if name not in DATA_SETS:
        raise InputError(f"must be one of {', '.join(DATA_SETS)}, not '{name}'")
    return name


class ClassifyStep(Section):
    """Learn and test a data set with one lane for each label; the lanes are made by its size."""

    data: Annotated[str, AfterValidator(_known_data)] = Field(
        description="data set of scikit-learn (extra datasets): iris, digits"
    )
    splits: int = Field(default=1, ge=1, description="number of stratified splits")
    test_part: Fraction = Field(
        default=0.25, gt=0, lt=1, description="part that is for testing", json_schema_extra=_RECIPE
    )
    bits: int = Field(
        default=3, ge=1, le=12, description="2^bits channels for each feature", json_schema_extra=_RECIPE
    )
    rate: float = Field(
        default=0.01, ge=0, le=1, description="of the encoder's moving averages", json_schema_extra=_RECIPE
    )
    bias: int = Field(default=1, ge=0, description="spaces that are always active", json_schema_extra=_RECIPE)
    encoder_epochs: int = Field(
        default=5, ge=0, description="passes in which the encoder adapts", json_schema_extra=_RECIPE
    )
    epochs: int = Field(default=5, ge=1, description="passes in which lanes learn", json_schema_extra=_RECIPE)
    rows: int = Field(
        default=1, ge=1, description="rows of every unit crossbar, into which the channels are folded"
    )
    train_values: int | None = Field(default=None, ge=1, description="values that are taught; default: all")
    test_values: int | None = Field(default=None, ge=1, description="values that are tested; default: all")
    peers: bool = Field(
        default=True, description="logistic regression and a linear SVC on the same tuples beside it"
    )


class KtramStep(Section):
    """One step of a kT-RAM program: exactly one of its keys."""

    execute: ExecuteStep | None = Field(default=None, description="instructions on tuples")
    read: ReadTuplesStep | None = Field(default=None, description="read tuples and keep the activations")
    start: StartStep | None = Field(default=None, description="set kT-bits to an activation")
    conductances: ConductancesStep | None = Field(
        default=None, description="keep the conductances of all devices"
    )
    loop: LoopStep | None = Field(default=None, description="steps several times over")
    classify: ClassifyStep | None = Field(default=None, description="learn and test a data set")

    @model_validator(mode="after")
    def _one_key(self) -> KtramStep:
        known = list(KtramStep.model_fields)
        given = [key for key in known if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise InputError(f"a step must have exactly one of {', '.join(known)}, not {found}")
        return self


class KtramSection(Section):
    """A kT-RAM core and its program; stands in place of hardware, tiles and program."""

    core: KtramCoreSection = Field(default_factory=KtramCoreSection, description="devices, voltages, noise")
    lanes: KtramLanesSection = Field(
        default_factory=KtramLanesSection, description="geometry; classify makes its own"
    )
    circuit: LaneCircuit | None = Field(
        default=None, description="lines and switches around the devices, at fidelity physical or spice"
    )
    controller: Controller | None = Field(
        default=None,
        description="times, energies and shared units; default: none at fidelity ideal, which then takes no time",
    )
    program: list[KtramStep] = Field(min_length=1, description="what happens, one step after the other")
