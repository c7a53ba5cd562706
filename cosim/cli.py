"""The command line: the only place that prints and that sets exit codes.

Exit codes: 0 good, 1 internal fault or failed phase, 2 bad input, 3 a tolerance was missed,
130 interrupted.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: many small matrices, see crossbar.threads

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cosim.errors import CosimError, InputError
from cosim.terminal import Watch
from cosim.units import parse, quantity_text

if TYPE_CHECKING:
    from cosim.scenario.load import Scenario
    from cosim.scenario.run import Result

app = typer.Typer(
    name="cosim",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Discrete-event circuit co-simulation of memristor crossbars, cross-validated against ngspice.",
)

ScenarioPath = Annotated[Path, typer.Argument(metavar="SCENARIO", help="scenario file (YAML)")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="result folder of a run")]
Out = Annotated[Path | None, typer.Option("--out", help="folder for the results; default out/NAME")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change an entry of the file")
]
Seed = Annotated[int | None, typer.Option(min=0, help="seed instead of the file's")]
AsJson = Annotated[bool, typer.Option("--json", help="print the summary as JSON")]
Quiet = Annotated[bool, typer.Option("--quiet", help="print nothing but errors")]


def _load(scenario: Path, sets: list[str] | None, seed: int | None = None) -> Scenario:
    from cosim.scenario.load import load

    overrides = list(sets or ())
    if seed is not None:
        overrides.append(f"seed={seed}")
    return load(scenario, overrides)


@app.command()
def run(
    scenario: ScenarioPath,
    out: Out = None,
    set_: Sets = None,
    seed: Seed = None,
    backend: Annotated[str | None, typer.Option(help="answer every phase with this backend")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="take the journaled phases of an earlier run")
    ] = False,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="write a Parquet file beside each table of records")
    ] = False,
    fst: Annotated[bool, typer.Option("--fst", help="write waves.fst beside waves.vcd")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a scenario and write its result folder.

    Example: cosim run scenarios/quickstart.yaml --set hardware.adc.bits=6
    """
    from cosim.report.fst import require_fst
    from cosim.report.tables import require_parquet
    from cosim.scenario.run import run as run_scenario

    if parquet:
        require_parquet()
    if fst:
        require_fst()
    loaded = _load(scenario, set_, seed)
    folder = out or Path("out") / loaded.name
    with Watch(shown=not (quiet or as_json)) as watch:
        result = run_scenario(
            loaded, backend=backend, out=folder, resume=resume, progress=watch.task("cells and vectors")
        )
        with watch.working("files of the folder"):
            result.save(folder, parquet=parquet, fst=fst)
    _show(result, folder, as_json, quiet)
    if result.failure is not None:
        raise result.failure


def _show(result: Result, folder: Path, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.summary, indent=2))
    elif not quiet:
        for line in summary_lines(result.summary):
            typer.echo(line)
        typer.echo(f"report: {folder / 'report.html'}")


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """Return the short result table of a run."""
    time, energy = summary["time"], summary["energy"]
    lines = [
        f"scenario   {summary['scenario']['name']} (seed {summary['seed']})",
        f"time       {quantity_text(time['end_s'], 's')}, {time['phases']} phases",
        f"energy     {quantity_text(energy['total_j'], 'J')}, balance {energy['balance']['relative_error']:.1e}",
    ]
    for entry in summary["operations"]:
        words = [f"{entry['index']:>3} {entry['op']:<8} {entry['target']:<20}"]
        words.append(quantity_text(entry["end_s"] - entry["start_s"], "s"))
        words.append(quantity_text(entry["energy_j"], "J"))
        if "converged" in entry:
            words.append(
                f"{entry['converged']} of {entry['cells']} cells in window, {entry['pulses']} pulses"
            )
        if "instructions" in entry:
            words.append(f"{sum(entry['instructions'].values())} instructions")
        if "accuracy" in entry:
            words.append(f"accuracy {100 * entry['accuracy']:.2f} %")
        if "rms_relative" in entry.get("error", {}):
            words.append(f"error {100 * entry['error']['rms_relative']:.3g} % rms")
        lines.append("  ".join(words))
    lines.extend(f"warning    {sentence}" for sentence in summary["warnings"])
    return lines


@app.command()
def validate(
    scenario: ScenarioPath,
    out: Out = None,
    set_: Sets = None,
    seed: Seed = None,
    every: Annotated[bool, typer.Option("--all", help="check every phase instead of a sample")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check a scenario's run against ngspice, phase by phase and free-running.

    Example: cosim validate scenarios/quickstart.yaml --out out/check
    """
    from cosim.scenario.validate import validate as validate_scenario

    loaded = _load(scenario, set_, seed)
    folder = out or Path("out") / loaded.name
    with Watch(shown=not (quiet or as_json)) as watch:
        check = validate_scenario(
            loaded, every=every, out=folder, progress=watch.task("phases in ngspice"),
            running=watch.task("cells and vectors"),
        )  # fmt: skip
        with watch.working("files of the folder"):
            check.result.save(folder, check.content)
    content = check.content
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    elif not quiet:
        for figure, worst in content["worst"].items():
            typer.echo(f"{figure:<18} worst {worst:.3e}   tolerance {content['tolerances'][figure]:.1e}")
        free = content["free_running"]
        typer.echo(
            f"free running       worst {free['worst_state_absolute']:.3e} (state) over {free['phases']} phases"
        )
        wall = content["wall_s"]
        typer.echo(
            f"phases             {content['phases_checked']} of {content['phases_total']} checked; "
            f"ngspice {wall['ngspice']:.3g} s, behavioral {wall['behavioral']:.3g} s"
        )
        typer.echo(
            f"cross-check        {'passed' if check.passed else 'NOT passed'}: {folder / 'crosscheck.json'}"
        )
        typer.echo(f"report: {folder / 'report.html'}")
    if not check.passed:
        raise typer.Exit(3)


@app.command()
def check(scenario: ScenarioPath, set_: Sets = None) -> None:
    """Check a scenario's schema and physics without running it; every problem on a line of its own.

    Example: cosim check scenarios/quickstart.yaml
    """
    from cosim.records import Trace
    from cosim.scenario.build import Backends, build
    from cosim.scenario.ktram import plan
    from cosim.scenario.load import document_of, parse

    document = document_of(scenario, set_ or ())
    loaded, errors = parse(document, scenario.parent)
    for error in errors:
        typer.echo(str(error), err=True)
    if loaded is None:
        raise typer.Exit(2)
    if loaded.section.ktram is not None:
        plan(loaded)
    else:
        build(loaded, Trace(), Backends(loaded)).backends.close()
    typer.echo(f"{scenario}: good")


@app.command()
def netlist(
    scenario: Annotated[Path | None, typer.Argument(metavar="SCENARIO", help="scenario file (YAML)")] = None,
    phase: Annotated[
        str, typer.Option(help="number of the phase, or all; default: the first ngspice phase")
    ] = "",
    out: Annotated[Path | None, typer.Option(help="folder for the decks instead of standard output")] = None,
    set_: Sets = None,
    circuit: Annotated[
        str | None,
        typer.Option(metavar="FILE.py:NAME", help="a PySpice circuit in a Python file instead of a scenario"),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="with --out: simulate each deck and keep ngspice's raw file beside it"),
    ] = False,
    stop: Annotated[
        str | None, typer.Option(help="with --circuit: end of a transient; default: operating point")
    ] = None,
) -> None:
    """Write the exact ngspice deck of a phase; it runs by hand with ngspice -b -r OUT.raw.

    Example: cosim netlist scenarios/quickstart.yaml --phase 3 > phase3.cir
    """
    from cosim.scenario.netlists import circuit_deck, decks

    if (scenario is None) == (circuit is None):
        raise InputError("give either a SCENARIO or --circuit FILE.py:NAME")
    if circuit is not None:
        typer.echo(circuit_deck(circuit, None if stop is None else parse(stop, "s")), nl=False)
        return
    assert scenario is not None
    if raw and out is None:
        raise InputError("--raw needs --out DIR, the folder for the raw files")
    loaded = _load(scenario, set_)
    for index, text in decks(loaded, phase):
        if out is None:
            typer.echo(text, nl=False)
            continue
        out.mkdir(parents=True, exist_ok=True)
        deck = out / f"phase-{index:06d}.cir"
        deck.write_text(text, encoding="utf-8")
        typer.echo(str(deck))
        if raw:
            _simulate(text, deck.with_suffix(".raw"))


def _simulate(deck: str, path: Path) -> None:
    from cosim.spice.subprocess_engine import SubprocessEngine

    engine = SubprocessEngine()
    engine.write_raw(deck, path, deadline_s=120.0)
    engine.close()
    typer.echo(str(path))


@app.command()
def pulses(
    scenario: Annotated[
        Path, typer.Argument(metavar="SCENARIO", help="scenario file, or the result folder of a run")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="folder; default out/NAME/lines")] = None,
    form: Annotated[
        Literal["pwl", "csv"],
        typer.Option("--format", help="pwl: time and voltage pairs; csv: also when a line floats"),
    ] = "pwl",
    kind: Annotated[
        str, typer.Option(help="phases whose pulses are written: write, verify, read, with commas between")
    ] = "write",
    measured: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="a measured trace: time_s and voltage_v, or conductance_s"),
    ] = None,
    at: Annotated[
        str, typer.Option(metavar="TILE.LINE", help="what was measured: a line, or a cell TILE.ROW.COLUMN")
    ] = "",
    set_: Sets = None,
    quiet: Quiet = False,
) -> None:
    """Write the waveform of every line for a bench generator, and lay a measured trace beside it.

    Example: cosim pulses scenarios/v2_disturb.yaml --format csv
    """
    from cosim.scenario.line_waveforms import compare, waveforms

    if (measured is None) != (not at):
        raise InputError("--measured and --at belong together: the file, and the line or cell that it is of")
    loaded = _load(scenario / "scenario.resolved.yaml" if scenario.is_dir() else scenario, set_)
    folder = out or Path("out") / loaded.name / "lines"
    found = waveforms(loaded, kind.split(","))
    paths = found.write(folder, form)
    if not quiet:
        typer.echo(f"{len(paths) - 1} of {len(found.lines)} lines carry pulses: {paths[0]}")
    if measured is not None:
        comparison = compare(found, measured, at)
        table, plot = comparison.write(folder)
        if not quiet:
            unit = comparison.unit
            rms, largest = (quantity_text(value, unit) for value in (comparison.rms, comparison.largest))
            typer.echo(f"{comparison.what}: deviation {rms} rms, {largest} at most: {table}, {plot}")


@app.command()
def devices(as_json: AsJson = False) -> None:
    """List device models, and presets of devices, wires, converters and architectures, with sources.

    Example: cosim devices --json
    """
    from cosim.scenario.describe import describe_devices

    content = describe_devices()
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for name, entry in content["models"].items():
        typer.echo(f"{name}: {entry['summary']} [{entry['reference']}]")
        for key, leaf in entry["parameters"].items():
            typer.echo(f"    {key:<10} {leaf['default']:<14} {leaf['doc']} ({leaf['source']})")
    for name, model in content["presets"].items():
        typer.echo(f"preset {name}: model {model} ({content['preset_sources'][name]})")
    for section, known in content["hardware_presets"].items():
        for name, entry in known.items():
            typer.echo(f"preset {name} of {section}: {entry['summary']}")
            for key, leaf in entry["entries"].items():
                value = leaf["value"] if not isinstance(leaf["value"], list) else ", ".join(leaf["value"])
                typer.echo(f"    {key:<26} {value!s:<14} ({leaf['source']})")


@app.command()
def characterize(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="models, presets, or scenario files with a device, each alone or as 'mss@tau=5 us,r_on=2 kohm'",
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a parameter of every device"),
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for the tables and the plot")] = Path("out/characterize"),
    plot: Annotated[Path | None, typer.Option(help="the plot as SVG, PDF or PNG, by the ending")] = None,
    set_pulse: Annotated[
        str | None, typer.Option(help="SET pulse such as '1.6 V, 50 ns'; default: the device's")
    ] = None,
    reset_pulse: Annotated[
        str | None, typer.Option(help="RESET pulse such as '-1.6 V, 50 ns'; default: the device's")
    ] = None,
    read: Annotated[str, typer.Option(help="read of the disturb test")] = "0.2 V, 100 ns",
    temperature: Annotated[str, typer.Option(help="temperature")] = "300 K",
    pulses: Annotated[
        int, typer.Option(min=2, max=100000, help="SET pulses, and as many RESET pulses")
    ] = 100,
    dataset: Annotated[
        Path | None,
        typer.Option(help="write synthetic points (conductance, jump) of one device to this CSV file"),
    ] = None,
    points: Annotated[int, typer.Option(min=1, max=10**7, help="with --dataset: points of a sign")] = 3000,
    seed: Annotated[int, typer.Option(min=0, help="seed of the draws of a stochastic device")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure device models side by side: loop, pulse response, switching time, relaxation, read disturb.

    Example: cosim characterize mss-firm vteam-memtorch --out out/characterize
    """
    from cosim.characterize import Conditions, study
    from cosim.fit.jumps import dataset_csv
    from cosim.report.files import json_text, write_whole
    from cosim.scenario.devices import device_of_text

    devices = [device_of_text(name, set_ or ()) for name in names]
    conditions = Conditions(
        set_pulse=_magnitude("--set-pulse", set_pulse),
        reset_pulse=_magnitude("--reset-pulse", reset_pulse),
        read_pulse=_magnitude("--read", read) or (0.0, 0.0),
        temperature=parse(temperature, "K"),
        pulses=pulses,
        seed=seed,
    )
    if plot is not None:
        study.check_format(plot)
    if dataset is not None:
        if len(devices) != 1:
            raise InputError(f"--dataset is for one device, not {len(devices)}")
        write_whole(dataset, dataset_csv(devices[0][1], points, seed, conditions))
        if not quiet:
            typer.echo(f"dataset: {dataset} ({points} points of a sign)")
        return
    found = [study.characterize(label, device, conditions) for label, device in devices]
    figure = study.save(found, out, plot)
    if as_json:
        typer.echo(json_text(study.content(found)), nl=False)
    elif not quiet:
        for line in study.lines(found):
            typer.echo(line)
        typer.echo(f"tables: {out}   plot: {figure}")


@app.command()
def fit(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV files, each alone or as 'FILE@series=47 kohm,frequency=10 Hz,across=device'",
        ),
    ],
    model: Annotated[str, typer.Option(help="device model, such as mss or rs")],
    out: Annotated[Path, typer.Option(help="folder for device.yaml, scenario.yaml, fit.json, plot")] = Path(
        "out/fit"
    ),
    series: Annotated[str, typer.Option(help="series resistor of the loops, such as '5 kohm'")] = "ideal",
    frequency: Annotated[str | None, typer.Option(help="a file holds one period of this frequency")] = None,
    amplitude: Annotated[str | None, typer.Option(help="drive with a sine instead of the samples")] = None,
    across: Annotated[
        Literal["total", "device"], typer.Option(help="what the voltage column is: whole circuit or device")
    ] = "total",
    ltp: Annotated[str | None, typer.Option(help="SET pulse of an LTP curve, such as '1.6 V, 50 ns'")] = None,
    ltd: Annotated[
        str | None, typer.Option(help="RESET pulse of an LTD curve, such as '-1.6 V, 50 ns'")
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="keep a parameter, such as 'r_on=2 kohm'")
    ] = None,
    bound: Annotated[
        list[str] | None, typer.Option(metavar="NAME=LOW:HIGH", help="bounds such as 'tau=1 us:1 ms'")
    ] = None,
    predict: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="report the error on data not fitted")
    ] = None,
    against_spice: Annotated[
        bool, typer.Option("--against-spice", help="simulate the fit again in ngspice, report both errors")
    ] = False,
    robust: Annotated[bool, typer.Option("--robust", help="count outlying samples less")] = False,
    even: Annotated[
        bool, typer.Option("--even", help="weigh files so that the largest of their errors gets small")
    ] = False,
    temperature: Annotated[str, typer.Option(help="temperature of the measurement")] = "300 K",
    survey: Annotated[
        int, typer.Option(min=8, max=65536, help="points of the search for good starts")
    ] = 1024,
    starts: Annotated[int, typer.Option(min=1, max=64, help="starts that are improved")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="seed of the search")] = 0,
    device: Annotated[str, typer.Option(help="pulse_table: name of the measured device")] = "",
    source: Annotated[str, typer.Option(help="pulse_table: where the measurement comes from")] = "",
    unit: Annotated[
        str | None, typer.Option(help="pulse_table: unit of six text files of numbers, such as nS")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a device model to measured loops, pulse trains or LTP/LTD curves; or build a jump table (pulse_table).

    Example: cosim fit loop.csv --model mss --series '5 kohm' --frequency '10 Hz' --out out/fit
    """
    from cosim.fit.measurement import Setup, read_pulse, read_setup
    from cosim.fit.study import Study, run_study

    if model == "pulse_table":
        if fix or bound or predict or against_spice or robust or even:
            raise InputError(
                "a jump table is counted and not searched for: --fix, --bound, --predict, --against-spice, --robust and --even do not belong to it"
            )
        _build_table(files, out, (ltp, ltd), (device, source, unit), as_json, quiet)
        return
    base = Setup(
        series=0.0 if series == "ideal" else parse(series, "ohm"),
        frequency=None if frequency is None else parse(frequency, "Hz"),
        amplitude=None if amplitude is None else parse(amplitude, "V"),
        across=across,
        set_pulse=None if ltp is None else read_pulse(ltp),
        reset_pulse=None if ltd is None else read_pulse(ltd),
    )
    study = Study(
        model=model,
        fitted=tuple(read_setup(name, base) for name in files),
        predicted=tuple(read_setup(name, base) for name in predict or ()),
        fixed=tuple(fix or ()),
        bounds=tuple(bound or ()),
        against_spice=against_spice,
        robust=robust,
        even=even,
        temperature=parse(temperature, "K"),
        survey=survey,
        starts=starts,
        seed=seed,
    )
    with Watch(shown=not (quiet or as_json), held=False) as watch:
        result = run_study(study, watch.task("searches"))
        result.save(out)
    if as_json:
        typer.echo(json.dumps(result.content(), indent=2))
    elif not quiet:
        for line in result.lines():
            typer.echo(line)
        typer.echo(
            f"device: {out / 'device.yaml'}   scenario: {out / 'scenario.yaml'}   plot: {out / 'fit.svg'}"
        )


def _magnitude(option: str, text: str | None) -> tuple[float, float] | None:
    """Return magnitude [V] and width [s] of a pulse of an option, None for none."""
    from cosim.fit.measurement import read_pulse

    if text is None:
        return None
    try:
        amplitude, width = read_pulse(text)
    except InputError as error:
        raise InputError(f"{option}: {error}") from None
    return abs(amplitude), width


def _build_table(
    files: list[str],
    out: Path,
    pulses: tuple[str | None, str | None],
    about: tuple[str, str, str | None],
    as_json: bool,
    quiet: bool,
) -> None:
    from cosim.fit.tables import TableStudy, run_table_study
    from cosim.report.files import json_text

    ltp, ltd = (_magnitude(option, text) for option, text in zip(("--ltp", "--ltd"), pulses, strict=True))
    device, source, unit = about
    scale = None if unit is None else parse(f"1 {unit}", "S")
    result = run_table_study(TableStudy(tuple(map(Path, files)), ltp, ltd, device, source, scale))
    result.save(out)
    if as_json:
        typer.echo(json_text(result.content()), nl=False)
    elif not quiet:
        for line in result.lines():
            typer.echo(line)
        typer.echo(f"table: {out / 'table.json'}   device: {out / 'device.yaml'}   plot: {out / 'table.svg'}")


@app.command()
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="scenario file to write, such as first.yaml")],
    kind: Annotated[
        str, typer.Option(help="array (program a matrix, multiply, check) or ktram (a kT-RAM program)")
    ] = "array",
) -> None:
    """Write a commented scenario to start from; it runs as it is.

    Example: cosim new first.yaml && cosim run first.yaml
    """
    from cosim.scenario.new import write_new

    write_new(file, kind)
    typer.echo(f"{file}: written; try: cosim check {file}, then: cosim run {file}")


@app.command()
def report(folder: Folder) -> None:
    """Write report.html of a run's folder anew, from its tables.

    Example: cosim report out/quickstart
    """
    from cosim.scenario.stored import write_report

    typer.echo(f"report: {write_report(folder)}")


@app.command()
def compare(first: Folder, second: Folder, as_json: AsJson = False) -> None:
    """Compare the folders of two runs: what differs in the scenarios, and in time, energy and error.

    Example: cosim compare out/quickstart out/six-bits
    """
    from cosim.scenario.stored import compare_folders, comparison_lines

    content = compare_folders(first, second)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    for line in comparison_lines(content):
        typer.echo(line)


@app.command()
def schema(out: Annotated[Path | None, typer.Option(help="file instead of standard output")] = None) -> None:
    """Write the JSON schema of scenario files, for editors.

    Example: cosim schema --out scenario.schema.json
    """
    from cosim.scenario.schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@app.command()
def doctor() -> None:
    """Test every optional piece, and say what to install for what is missing.

    Example: cosim doctor
    """
    from cosim.scenario.describe import doctor_lines

    lines, good = doctor_lines()
    for line in lines:
        typer.echo(line)
    if not good:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line; an error of cosim is one sentence on standard error."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    except CosimError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except typer.TyperException as error:
        error.show()  # type: ignore[attr-defined]
        sys.exit(error.exit_code)
