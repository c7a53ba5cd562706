"""Commands about device models: ``devices``, ``characterize``, ``fit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from cosim.cli.options import AsJson, Quiet, device_names, model_names
from cosim.errors import InputError
from cosim.terminal import Watch
from cosim.units import parse


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


def characterize(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="models, presets, or scenario files with a device, each alone or as 'mss@tau=5 us,r_on=2 kohm'",
            autocompletion=device_names,
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
    found: list[study.Characterization] = []
    with Watch(shown=not (quiet or as_json), held=False) as watch:
        measured = watch.task("devices")
        for label, device in devices:
            measured(len(found), len(devices))
            found.append(study.characterize(label, device, conditions))
        measured(len(found), len(devices))
        with watch.working("tables and plot"):
            figure = study.save(found, out, plot)
    if as_json:
        typer.echo(json_text(study.content(found)), nl=False)
    elif not quiet:
        for line in study.lines(found):
            typer.echo(line)
        typer.echo(f"tables: {out}   plot: {figure}")


def fit(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="CSV files, each alone or as 'FILE@series=47 kohm,frequency=10 Hz,across=device'",
        ),
    ],
    model: Annotated[str, typer.Option(help="device model, such as mss or rs", autocompletion=model_names)],
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
    study = TableStudy(tuple(map(Path, files)), ltp, ltd, device, source, scale)
    with Watch(shown=not (quiet or as_json), held=False) as watch, watch.working("jump table"):
        result = run_table_study(study)
        result.save(out)
    if as_json:
        typer.echo(json_text(result.content()), nl=False)
    elif not quiet:
        for line in result.lines():
            typer.echo(line)
        typer.echo(f"table: {out / 'table.json'}   device: {out / 'device.yaml'}   plot: {out / 'table.svg'}")
