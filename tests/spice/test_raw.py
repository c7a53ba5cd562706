"""The reader of raw files: binary and text, real and complex, several plots, cut off anywhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cosim.errors import SpiceParseError
from cosim.spice.raw import parse_raw, read_raw

NAMES = ["time", "v(a)", "i(v1)"]


def raw(
    values: np.ndarray, *, points: int | None = None, name: str = "Transient Analysis", text: bool = False
) -> bytes:
    kind = "complex" if np.iscomplexobj(values) else "real"
    table = "".join(f"\t{k}\t{n}\tvoltage\n" for k, n in enumerate(NAMES[: values.shape[1]]))
    count = len(values) if points is None else points
    header = (
        f"Title: * a Binary: title\nDate: now\nPlotname: {name}\nFlags: {kind}\n"
        f"No. Variables: {values.shape[1]}\nNo. Points: {count}\nVariables:\n{table}"
    )
    if text:
        rows = []
        for k, row in enumerate(values):
            words = [f"{v.real:.17e},{v.imag:.17e}" if kind == "complex" else f"{v:.17e}" for v in row]
            rows.append(f" {k}\t" + "\n\t".join(words))
        return (header + "Values:\n" + "\n".join(rows) + "\n").encode()
    return (header + "Binary:\n").encode() + values.astype("<c16" if kind == "complex" else "<f8").tobytes()


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_values_survive(text: bool, dtype: type) -> None:
    values = np.random.default_rng(0).normal(size=(7, 3)).astype(dtype)
    if dtype is np.complex128:
        values = values + 1j * values[::-1]
    (plot,) = parse_raw(raw(values, text=text))
    assert np.array_equal(plot.values, values)
    assert plot.complete
    assert plot.names == tuple(NAMES)
    assert np.array_equal(plot.column("v(a)"), values[:, 1])


def test_several_plots_in_one_file() -> None:
    first, second = np.ones((2, 3)), np.arange(12.0).reshape(4, 3)
    plots = parse_raw(raw(first, name="Operating Point") + raw(second) + raw(first, text=True))
    assert [plot.name for plot in plots] == ["Operating Point", "Transient Analysis", "Transient Analysis"]
    assert np.array_equal(plots[1].values, second)
    assert np.array_equal(plots[2].values, first)


def test_cut_off_anywhere_gives_the_whole_rows_or_nothing() -> None:
    values = np.arange(30.0).reshape(10, 3)
    content = raw(values)
    start = content.index(b"\nBinary:\n") + len(b"\nBinary:\n")
    for length in range(len(content)):
        cut = content[:length]
        if not cut.startswith(b"Title:") and cut.strip():
            with pytest.raises(SpiceParseError):
                parse_raw(cut)
            continue
        plots = parse_raw(cut)
        if length < start:
            assert plots == []
            continue
        assert not plots[0].complete
        assert np.array_equal(plots[0].values, values[: (length - start) // 24])


def test_run_that_was_killed_promises_no_points() -> None:
    values = np.arange(6.0).reshape(2, 3)
    (plot,) = parse_raw(raw(values, points=0))
    assert not plot.complete
    assert np.array_equal(plot.values, values)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda c: b"hello", "not an ngspice raw file"),
        (lambda c: c.replace(b"No. Points: 2", b"No. Points: x"), "damaged header"),
        (lambda c: c.replace(b"No. Variables: 3", b"No. Variables: 4"), "promises 4 vectors but describes 3"),
        (lambda c: c.replace(b"\nBinary:\n", b"\nValues:\n")[:-48] + b"0 a b c", "no number"),
    ],
)
def test_damage_is_told(damage: object, sentence: str) -> None:
    with pytest.raises(SpiceParseError, match=sentence):
        parse_raw(damage(raw(np.ones((2, 3)))))  # type: ignore[operator]


def test_unknown_vector_and_empty_file(tmp_path: Path) -> None:
    (plot,) = parse_raw(raw(np.ones((1, 3))))
    with pytest.raises(SpiceParseError, match="no vector 'v\\(z\\)'"):
        plot.column("v(z)")
    (tmp_path / "empty.raw").touch()
    assert read_raw(tmp_path / "empty.raw") == []
