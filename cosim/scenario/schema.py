"""The shape of a scenario file, as frozen pydantic models.

Hardware sections are the frozen dataclasses of the floors below: one declaration per parameter, with its
unit, default and source. Quantities are text with a unit; unknown keys are refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from cosim.components.adc import Adc
from cosim.components.comparator import Comparator
from cosim.components.dac import Dac
from cosim.components.driver import Driver
from cosim.components.read_path import TransposedPeriphery
from cosim.components.schemes import LinePolicy, Scheme
from cosim.components.sense import Sense
from cosim.components.sequencer import Sequencer
from cosim.components.tile import PHASE_KINDS
from cosim.components.write_verify import ProgrammingPulse, Verify
from cosim.crossbar.network import Cell
from cosim.devices.base import DeviceModel
from cosim.devices.registry import unknown
from cosim.devices.variation import Variation
from cosim.errors import InputError
from cosim.hardware import ArraySpec
from cosim.mapping.encoding import WeightSlices
from cosim.report.baseline import DigitalBaseline
from cosim.scenario.devices import DeviceEntry
from cosim.scenario.hardware_presets import SECTIONS
from cosim.scenario.schema_ktram import KtramSection
from cosim.scenario.schema_operations import DriveStep, ReadWordStep, RefreshStep, UpdateStep
from cosim.scenario.section import Section
from cosim.scenario.table import Name, Rows, Table, read_table
from cosim.units import Femtoseconds, Fraction, Kelvin, Second


class HardwareSection(Section):
    """The hardware of every tile."""

    device: Annotated[DeviceModel, DeviceEntry()] = Field(
        description="device model or preset, with its parameters"
    )
    cell: Cell = Field(default_factory=Cell, description="what sits at a crossing")
    array: ArraySpec = Field(description="size and wires")
    dac: Dac = Field(default_factory=Dac, description="word-line converters")
    adc: Adc = Field(default_factory=Adc, description="bit-line converters")
    driver: Driver = Field(default_factory=Driver, description="line drivers")
    sense: Sense = Field(default_factory=Sense, description="sense circuits")
    sequencer: Sequencer = Field(default_factory=Sequencer, description="control logic")
    comparator: Comparator = Field(
        default_factory=Comparator, description="ends pulses at a current: compliance and termination"
    )
    temperature: Kelvin = Field(
        default=300.0,
        description="temperature of everything",
        json_schema_extra={"source": "cosim: the room temperature of the published device sets"},
    )
    variation: Variation = Field(
        default_factory=Variation, description="what differs from cell to cell and from cycle to cycle"
    )
    transposed: TransposedPeriphery | None = Field(
        default=None,
        description="converters of transposed reads: DACs at the bit lines, ADCs at the word lines",
    )


class NetlistState(Section):
    """The node of a user's subcircuit that holds the state of a cell."""

    node: str = Field(
        description="a port, or a node inside (x1.x); of a whole array a pattern with {row} and {column}"
    )
    parameter: str | None = Field(
        default=None,
        description="parameter that takes its initial voltage; without one the node is set from outside (.ic)",
    )
    scale: float = Field(default=1.0, description="state per volt of the node")


class BackendSection(Section):
    """Which backend answers, with its options."""

    kind: Literal["behavioral", "ngspice", "paired", "scripted"] | Name = Field(
        default="behavioral", description="who answers; also the name of a backend of another package"
    )
    fidelity: Literal["ideal", "resistive", "rc"] | None = Field(
        default=None, description="behavioral only; default: the tile's"
    )
    engine: Literal["auto", "pyspice", "subprocess", "lockstep"] | None = Field(
        default=None, description="ngspice only; default: spice.engine"
    )
    netlist: str | None = Field(
        default=None,
        description="ngspice only: file with a subcircuit that takes the place of every cell, or of the whole array",
    )
    subcircuit: Name | None = Field(default=None, description="the .subckt of the netlist")
    ports: dict[str, str] = Field(
        default_factory=dict,
        description="its ports: word, bit and gate of one cell, or patterns word_lines, bit_lines and gate_lines of the array",
    )
    state: NetlistState | None = Field(default=None, description="where it holds the state of a cell")
    parameters: dict[Name, float] = Field(
        default_factory=dict, description="values of parameters of the subcircuit, in SI units"
    )
    twin: bool = Field(
        default=True,
        description="whether hardware.device describes the netlist too, so that validate compares them",
    )

    @model_validator(mode="after")
    def _netlist_keys(self) -> BackendSection:
        if self.netlist is None:
            given = [key for key in ("subcircuit", "ports", "state", "parameters") if getattr(self, key)]
            if given:
                raise InputError(f"'{given[0]}' needs the key 'netlist'")
        elif self.kind not in ("ngspice", "paired"):
            raise InputError(f"a netlist is for the backends ngspice and paired, not {self.kind}")
        elif self.subcircuit is None:
            raise InputError("the key 'subcircuit' is missing: name the .subckt of the netlist")
        return self


def read_backends(value: object) -> object:
    """Read ``name``, ``{kind: name, ...}`` or ``{read: ..., verify: ..., write: ...}`` into one per kind."""
    if isinstance(value, dict) and not set(value) & set(PHASE_KINDS):
        options = list(BackendSection.model_fields)
        for key in set(value) - set(options):
            raise InputError(unknown("key", str(key), dict.fromkeys((*PHASE_KINDS, *options))))
        return dict.fromkeys(PHASE_KINDS, value)
    if isinstance(value, str):
        return {kind: {"kind": value} for kind in PHASE_KINDS}
    if not isinstance(value, dict):
        raise InputError(f"must be the name of a backend, such as behavioral or ngspice, not {value!r}")
    for key in sorted(set(value) - set(PHASE_KINDS)):
        raise InputError(unknown("phase kind", key, dict.fromkeys(PHASE_KINDS)))
    chosen = {kind: {"kind": entry} if isinstance(entry, str) else entry for kind, entry in value.items()}
    if "read" in chosen:
        chosen.setdefault("verify", chosen["read"])
    if "verify" in chosen:
        chosen.setdefault("read", chosen["verify"])
    return {kind: chosen.get(kind, {"kind": "behavioral"}) for kind in PHASE_KINDS}


class _EveryForm:
    """Gives `Backends` the JSON schema of all its forms: a name, one section, one of both per kind."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        name: dict[str, Any] = {"type": "string"}
        section = handler(schema)["additionalProperties"]
        kinds = {kind: {"anyOf": [name, section]} for kind in PHASE_KINDS}
        per_kind = {"type": "object", "properties": kinds, "additionalProperties": False}
        return {"anyOf": [name, section, per_kind]}


class _OrText:
    """Lets a JSON schema accept text beside what a validator makes of it."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, *handler(schema)["anyOf"]]}


Backends = Annotated[dict[str, BackendSection], BeforeValidator(read_backends), _EveryForm()]


class TileSection(Section):
    """One tile: who answers its phases, and what it starts from."""

    backend: Backends = Field(
        default_factory=lambda: _default_backends(),
        description="a backend, or one per phase kind; default: behavioral",
    )
    fidelity: Literal["ideal", "resistive", "rc"] = Field(
        default="resistive",
        description="ideal: no wires; resistive: wire resistance, quasi-static; rc: lines with capacitance, as transients",
    )
    conductance: str | None = Field(
        default=None, description="file with a measured conductance map [S], CSV or NPY"
    )


def _default_backends() -> dict[str, BackendSection]:
    return {kind: BackendSection() for kind in PHASE_KINDS}


class TargetSection(Section):
    """What tiles shall hold: a matrix, or conductances."""

    tiles: list[Name] = Field(
        min_length=1,
        description="one tile, or two for a differential pair: positive part, negative part (one of 2T2R cells); of slices all, the lowest first",
    )
    matrix: Annotated[str | Rows | None, BeforeValidator(read_table)] = Field(
        default=None, description="file or rows: inputs down, outputs across"
    )
    conductance: str | None = Field(
        default=None, description="file with target conductances [S] instead of a matrix"
    )
    bits: Annotated[str | Rows | None, BeforeValidator(read_table)] = Field(
        default=None, description="file or rows of 0 and 1 instead of a matrix, or random: half of them ones"
    )
    encoding: Literal["differential", "single"] | None = Field(
        default=None,
        description="how weights become conductances; default: differential for two tiles or 2T2R cells",
    )
    slices: WeightSlices | None = Field(
        default=None, description="cut weights into slices of bits, each in tiles of its own"
    )
    headroom: Fraction = Field(
        default=0.2,
        description="part of the conductance range left free at the top",
        json_schema_extra={"source": "cosim: a cell near its bound answers a pulse with next to nothing"},
    )


class PlaceStep(TargetSection):
    """Give tiles their conductances without programming: no time, no energy, no error. For studies of reads alone."""


class WriteStep(TargetSection):
    """Program a matrix, or conductances, into tiles with write-verify."""

    cells: list[tuple[int, int]] | None = Field(
        default=None,
        min_length=1,
        description="only these cells are written, each [row, column]; default: all",
    )
    scheme: Scheme | None = Field(
        default=None,
        description="how a cell is selected; default: gate for 1T1R and 2T2R, V/2 for 1R and 1S1R",
    )
    unselected: LinePolicy = Field(
        default="tracking",
        description="what drives unselected lines in a pulse: the scheme's level, following the pulse; 0 V; nothing",
    )
    parallel: Literal["cell", "row"] = Field(
        default="cell",
        description="cells one by one, or all cells of a row at once, those in their window masked",
    )
    verify: Verify = Field(default_factory=Verify, description="window, budget and choice of the next pulse")
    set_pulse: ProgrammingPulse | None = Field(
        default=None, alias="set", description="SET pulse; default: the device's"
    )
    reset_pulse: ProgrammingPulse | None = Field(
        default=None, alias="reset", description="RESET pulse; default: the device's"
    )


class ReadStep(Section):
    """Matrix-vector products of tiles with the rows of a file."""

    tiles: list[Name] = Field(min_length=1, description="tiles that are read side by side")
    inputs: Table = Field(description="file or rows: one input vector per row")
    coding: Literal["amplitude", "bit-serial", "pwm", "split-pwm"] | Name = Field(
        default="amplitude",
        description="how an input becomes array phases; also the name of a coding of another package",
    )
    full_scale: float | None = Field(
        default=None,
        gt=0,
        description="input that drives the DAC to its top; default: by hardware.dac.calibration",
    )
    profile: Annotated[str | Rows | None, BeforeValidator(read_table)] = Field(
        default=None,
        description="file or rows: inputs from which a calibrated ADC range is taken; default: inputs",
    )
    signed: Literal["bipolar", "two-pass"] = Field(
        default="bipolar",
        description="negative inputs: through a DAC with a negative lower end, or in a second pass of magnitudes",
    )
    transposed: bool = Field(
        default=False,
        description="drive the bit lines and sense the word lines: products with the transpose; needs hardware.transposed",
    )
    phases: Literal["together", "one-by-one"] = Field(
        default="together",
        description="let a backend answer the array phases at once where no cell moves; the result is the same",
    )
    group_change: Fraction = Field(
        default=0.0,
        ge=0,
        le=0.1,
        description="where cells move: answer the array phases in groups within which no current changes by more than this "
        "part of the largest one; 0 %: one by one",
    )
    reference: Literal["exact", "programmed"] = Field(
        default="exact",
        description="compare with the exact product, or with that of the programmed conductances",
    )


class WaitStep(Section):
    """Let time pass."""

    duration: Femtoseconds = Field(description="how long; the step may also be the time alone")


class BackendStep(Section):
    """Hand tiles over to other backends in the middle of a run."""

    tiles: list[Name] = Field(min_length=1, description="tiles that are handed over")
    to: Backends = Field(description="who answers from now on; states are carried over")


def _read_wait(value: object) -> object:
    return value if value is None or isinstance(value, dict) else {"duration": value}


class Step(Section):
    """One step of the program: exactly one of its keys."""

    write: WriteStep | None = Field(default=None, description="program tiles")
    place: PlaceStep | None = Field(
        default=None, description="give tiles their conductances without programming"
    )
    read: ReadStep | None = Field(default=None, description="matrix-vector products")
    update: UpdateStep | None = Field(default=None, description="outer products in place")
    read_word: ReadWordStep | None = Field(
        default=None, description="read words of a memory, with margins and errors"
    )
    refresh: RefreshStep | None = Field(default=None, description="rewrite cells that have left their window")
    drive: DriveStep | None = Field(default=None, description="one pulse on any lines at once")
    wait: Annotated[WaitStep | None, BeforeValidator(_read_wait), _OrText()] = Field(
        default=None, description="let time pass"
    )
    backend: BackendStep | None = Field(default=None, description="hand tiles over to other backends")

    @model_validator(mode="after")
    def _one_key(self) -> Step:
        given = [key for key in Step.model_fields if getattr(self, key) is not None]
        if len(given) != 1:
            found, known = " and ".join(given) or "none", ", ".join(Step.model_fields)
            raise InputError(f"a step must have exactly one of {known}, not {found}")
        return self


class Tolerances(Section):
    """What `cosim validate` accepts."""

    current_relative: float = Field(
        default=1e-3, gt=0, description="of line currents, of the phase's largest line current"
    )
    state_absolute: float = Field(default=5e-3, gt=0, description="of states, in fractions of their range")
    energy_relative: float = Field(
        default=1e-2, gt=0, description="of energies, of the largest phase energy of the same kind"
    )


class ValidateSection(Section):
    """How the run is checked against ngspice."""

    tolerances: Tolerances = Field(default_factory=Tolerances, description="largest deviations that pass")
    phases: int = Field(
        default=400, ge=1, description="phases that are checked at most, drawn with the scenario's seed"
    )
    free_running: int = Field(
        default=200, ge=0, description="first phases that are also run with both sides on their own state"
    )


def _above_zero(value: float) -> float:
    if value <= 0:
        raise InputError(f"must be above zero, not {value:g} s")
    return value


class SpiceSection(Section):
    """How ngspice is run."""

    engine: Literal["auto", "pyspice", "subprocess", "lockstep"] = Field(
        default="auto",
        description="pyspice: the library in a worker; subprocess: the program; lockstep: the library, able to react inside a phase (others hand such phases to it); auto: what is there",
    )
    retries: int = Field(
        default=1, ge=0, le=10, description="times a phase is repeated after its worker died"
    )
    deadline: Annotated[Second, AfterValidator(_above_zero)] = Field(
        default=120.0, description="after which a phase is stopped"
    )


class ScenarioSection(Section):
    """A whole scenario file."""

    schema_version: Literal[1] = Field(description="version of this format")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = Field(
        description="name of the run; its results go to out/NAME"
    )
    description: str = Field(default="", description="one line for the report")
    seed: int = Field(default=0, ge=0, description="of every random stream")
    hardware: HardwareSection = Field(description="what the tiles are made of")
    tiles: dict[Name, TileSection] = Field(min_length=1, description="the tiles by name")
    program: list[Step] = Field(min_length=1, description="what happens, one step after the other")
    ktram: KtramSection | None = Field(
        default=None, description="a kT-RAM core and its program, in place of hardware, tiles and program"
    )
    spice: SpiceSection = Field(default_factory=SpiceSection, description="how ngspice is run")
    baseline: DigitalBaseline | None = Field(
        default=None, description="a digital accelerator that does the same products, beside the summary"
    )
    validation: ValidateSection = Field(
        default_factory=ValidateSection,
        alias="validate",
        description="how the run is checked against ngspice",
    )


NOT_BESIDE_KTRAM = ("hardware", "tiles", "program")
"""Keys that a scenario with a ``ktram`` section does not have."""


class KtramScenarioSection(ScenarioSection):
    """A scenario whose program is one of a kT-RAM core: it has no tiles."""

    hardware: Any = Field(default=None, description="not used")
    tiles: dict[Name, TileSection] = Field(default_factory=dict, description="none")
    program: list[Step] = Field(default_factory=list, description="none")

    @model_validator(mode="before")
    @classmethod
    def _no_tiles(cls, values: Any) -> Any:
        for key in NOT_BESIDE_KTRAM:
            if isinstance(values, dict) and key in values:
                raise InputError(f"scenario.{key}: must not stand beside ktram; leave one of them out")
        return values


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a scenario file, for editors: every key with meaning, default and source."""
    from cosim.scenario.keys import describe

    schema = ScenarioSection.model_json_schema(by_alias=True)
    describe(schema)
    _add_presets(schema)
    schema["properties"]["extends"] = {
        "type": "string",
        "description": "another scenario of the same folder, taken as base",
    }
    schema["anyOf"] = [
        {"required": schema.pop("required")},
        {"required": ["schema_version", "name", "ktram"]},
        {"required": ["extends"]},
    ]
    schema["title"] = "cosim scenario"
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _add_presets(schema: dict[str, Any]) -> None:
    """Let the sections that have presets name one; then nothing else of them is required."""
    owners = {
        "hardware": "HardwareSection",
        "wires": "WireSpec",
        "adc": "Adc",
        "dac": "Dac",
        "variation": "Variation",
    }
    for path, known in SECTIONS.items():
        section = schema["$defs"][owners[path[-1]]]
        section["properties"]["preset"] = {
            "enum": sorted(known),
            "description": "entries that lie below those given here; cosim devices lists them",
        }
        if "required" in section:
            section["anyOf"] = [{"required": section.pop("required")}, {"required": ["preset"]}]
