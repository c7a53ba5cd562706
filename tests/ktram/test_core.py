"""The core against one object per device: all instructions, models, tuples with None, noise, draws."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from ktram_objects import DEFAULTS, RULES, PlainCore

from cosim import ktram
from cosim.errors import AddressError, InputError, KtramError, RegisterTypeError, UnknownKeyError
from cosim.ktram import INIT_TYPES, INSTRUCTIONS, Core, MSSProfile, Neuron

MODELS = tuple(DEFAULTS)


def state_of(plain: PlainCore) -> np.ndarray:
    return np.array(
        [
            [
                (a.value, b.value)
                for space in lane.spaces
                for a, b in zip(space.a.devices, space.b.devices, strict=True)
            ]
            for lane in plain.lanes
        ]
    )


def random_tuple(rng: np.random.Generator, spaces: int, size: int) -> tuple[int | None, ...]:
    return tuple(int(k) if k >= 0 else None for k in rng.integers(-1, size, spaces))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("spaces", [1, 3, 40])
@pytest.mark.parametrize("read_noise", [0.0, 0.02])
def test_any_program_gives_the_same_numbers(model: str, spaces: int, read_noise: float) -> None:
    """Random instructions on random tuples: the same y, state and next draw, to the last bit."""
    rng = np.random.default_rng(spaces)
    core = Core(2, 3, spaces, 2, model, init="medium_noise", seed=11, read_noise=read_noise)
    plain = PlainCore(2, 3, spaces, 2, model, "medium_noise", 11, read_noise)
    names = list(RULES)
    for _ in range(600):
        aat, name = random_tuple(rng, spaces, 6), names[rng.integers(len(names))]
        lane, noise = int(rng.integers(2)), float(rng.choice([0.0, 0.0, 0.5, 1.0]))
        assert core.evaluate(aat, name, lane, noise) == plain.lanes[lane].evaluate(aat, name, noise), name
    np.testing.assert_array_equal(core.state, state_of(plain))
    assert core.rng.random() == plain.rng.random()


@pytest.mark.parametrize("model", MODELS)
def test_other_voltages_and_widths(model: str) -> None:
    voltages, rng = (0.6, -0.75, 0.3, -0.4), np.random.default_rng(5)
    core = Core(1, 4, 2, 1, model, seed=3, pulse_width=3e-8, read_pulse_width=1e-8)
    core.set_voltages(*voltages)
    plain = PlainCore(
        1, 4, 2, 1, model, seed=3, voltages=voltages, pulse_width=3e-8, read_pulse_width=1e-8
    )  # fmt: skip
    for _ in range(500):
        aat, name = random_tuple(rng, 2, 4), list(RULES)[rng.integers(len(RULES))]
        assert core.evaluate(aat, name) == plain.lanes[0].evaluate(aat, name)
    np.testing.assert_array_equal(core.state, state_of(plain))


@pytest.mark.parametrize("init", sorted(INIT_TYPES))
@pytest.mark.parametrize("model", MODELS)
def test_initial_state(model: str, init: str) -> None:
    core = Core(3, 2, 2, 2, model, init=init, seed=9)
    plain = PlainCore(3, 2, 2, 2, model, init, 9)
    np.testing.assert_array_equal(core.state, state_of(plain))
    assert core.rng.random() == plain.rng.random()


@pytest.mark.parametrize(
    ("model", "first", "second"),
    [
        ("byte", (0.5037037, 203, 69), (-0.5018315, 70, 205)),
        ("float", (0.9914306, None, None), (-0.9901950, None, None)),
        ("rs", (0.4300425, None, None), (-0.4300425, None, None)),
    ],
)
def test_known_figures(model: str, first: tuple, second: tuple) -> None:
    core = Core(1, 1, model=model, init="medium", seed=1, read_noise=0)
    lane = core.lane(0)
    for feedback, (y, ga, gb) in (("RH", first), ("RL", second)):
        for _ in range(5000):
            lane.evaluate((0,), "FF")
            lane.evaluate((0,), feedback)
        assert lane.evaluate((0,), "FF") == pytest.approx(y, abs=6e-8)
        if ga is not None:
            assert core.read_gab(0, (0,)) == (ga, gb)


def test_quickstart_of_the_reference() -> None:
    core = Core(1, 1, spaces_per_lane=1, num_lanes=1, model="byte", init="medium")
    lane = core.lane(0)
    z = (0,)
    y = lane.evaluate(z, "FF")
    assert -1 <= y <= 1
    before = core.read_gab(0, z)
    lane.evaluate(z, "RH")
    ga, gb = core.read_gab(0, z)
    assert (ga, gb) == (before[0], before[1] - 2)


def test_table_of_voltages() -> None:
    """(dVa, dVb) of every instruction at 1 V and y = 0.5, from the published table."""
    y, seen = 0.5, {}
    for name, rule in INSTRUCTIONS.items():
        core = Core(1, 1, model="byte", init="medium_noiseless", read_noise=0, pulse_width=1e-6)
        core.lane(0).y = y
        core.set_gab(0, (0,), 150, 50)  # y = 0.5
        rail = core.v_app(name)
        vy = rail * y if rule.reads else rule.coeff * core.drive_voltage(rule.direction)
        if rule.use_H and y < 0:
            vy = -vy
        seen[name] = core.topology.update_voltages(rail, vy)
        core.evaluate((0,), name)
        moved = tuple(np.floor(np.array(seen[name]) + 0.5))
        assert core.read_gab(0, (0,)) == (150 + moved[0], 50 + moved[1])
    assert seen == {
        "FF": (0.5, 1.5), "FFLV": pytest.approx((0.025, 0.075)), "RF": (-0.5, -1.5),
        "RFLV": pytest.approx((-0.025, -0.075)),
        "FH": (2, 0), "FL": (0, 2), "FU": (0, 2), "FA": (2, 0), "FZ": (1, 1),
        "RH": (0, -2), "RL": (-2, 0), "RU": (0, -2), "RA": (-2, 0), "RZ": (-1, -1),
    }  # fmt: skip


def test_unread_lane_counts_as_positive_and_an_open_read_clears() -> None:
    core = Core(1, 1, model="byte", init="medium_noiseless", read_noise=0)
    core.evaluate((0,), "RU")
    assert core.read_gab(0, (0,)) == (128, 126)
    assert core.evaluate((0,), "FF") > 0
    assert core.evaluate((None,), "FF") == 0 == core.lane(0).y
    assert core.read_gab(0, (None,)) == []


def test_views_read_and_write_the_lane() -> None:
    core = Core(3, 5, 2, model="byte", init="medium_noiseless", read_noise=0)
    pair = core.lane(0).spaces[1]
    device = pair.a.device_at(7)
    assert (pair.size, pair.a.size, pair.a.address_width, device.g()) == (15, 15, 3, 128.0)
    device.set_g(200.9)
    assert pair.conductances(7) == (200.0, 128.0) == core.read_gab(0, (None, 7))
    device.drive(1.5, 1e-6)
    assert core.state[0, 15 + 7].tolist() == [202, 128]
    assert (device.GMIN, device.GMAX, device.current(0.5)) == (1, 255, 101.0)
    pair.drive(None, 1.0, 1.0, 1e-6)
    assert pair.conductances(None) == (0.0, 0.0)


def test_devices_stand_alone() -> None:
    rng = np.random.default_rng(0)
    profile = MSSProfile(phi=0.5, schottky_fa=1e-6, schottky_fb=3.0, schottky_ra=2e-6, schottky_rb=4.0)
    device = ktram.MSSDevice(0.25, profile, rng)
    assert device.g() == 0.25 / 1e3 + 0.75 / 1e4
    assert device.current(0.2) == 0.5 * 0.2 * device.g() + 0.5 * (2e-6 * -np.exp(-0.8) + 1e-6 * np.exp(0.6))
    assert ktram.FloatDevice(0.05, learning_rate=1e-3).g() == 0.05
    for kind in ktram.MODELS.values():
        made = kind.create(0.5, 0.0, rng)
        assert made.GMIN < made.g() < made.GMAX


def test_start_y_and_limits() -> None:
    core = Core(1, 2, 2, model="mss", read_noise=0)
    core.set_start_y(0, (0, 1), 0.9)
    assert core.evaluate((0, 1), "FFLV") == pytest.approx(0.8095, abs=1e-4)
    byte = Core(1, 1, model="byte")
    byte.set_start_y(0, (0,), 0.0)
    assert byte.read_gab(0, (0,)) == (127, 127)


def test_copies_carry_on_with_the_same_draws() -> None:
    core = Core(1, 4, 3, 2, "mss", seed=2)
    core.evaluate((0, 1, 2), "FF", 1)
    for twin in (copy.deepcopy(core), pickle.loads(pickle.dumps(core))):
        assert twin.lane(1).y == core.lane(1).y
        original = copy.deepcopy(core)
        for name in ("FF", "RU", "FFLV"):
            assert twin.evaluate((3, None, 1), name, 1) == original.evaluate((3, None, 1), name, 1)
        np.testing.assert_array_equal(twin.state, original.state)
    old = core.__getstate__()
    for name in ("read_pulse_width", "comparator_enabled", "comparator_code"):
        del old[name]
    revived = Core.__new__(Core)
    revived.__setstate__(old)
    assert (revived.read_pulse_width, revived.comparator_noise) == (core.pulse_width, pytest.approx(3e-4))


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda c: c.evaluate((0,), "FF"), ValueError, "address tuple: must have one entry for each of the 2 spaces, not 1"),
        (lambda c: c.evaluate((0, -1), "FF"), IndexError, "address tuple, space 1: must be within 0..3, not -1; None leaves a space out"),
        (lambda c: c.evaluate((4, 0), "FF"), AddressError, "address tuple, space 0: must be within 0..3, not 4; None leaves a space out"),
        (lambda c: c.evaluate((0, 1.5), "FF"), KtramError, "address tuple, space 1: must be an integer or None, not 1.5"),
        (lambda c: c.evaluate((0, 0), "XX"), KeyError, f"instruction: must be one of {', '.join(RULES)}, not 'XX'; names are in capitals"),
        (lambda c: c.evaluate((0, 0), "FF", noise=1.5), KtramError, "noise: must be within 0..1, not 1.5; it is the fraction taken off the read voltage"),
        (lambda c: c.evaluate((0, 0), "FF", 3), KtramError, "Core.lane: must be within 0..0, not 3"),
        (lambda c: c.lane(-1), KtramError, "Core.lane: must be within 0..0, not -1"),
        (lambda c: c.read_gab(0, (9, 0)), IndexError, "address tuple, space 0: must be within 0..3, not 9; None leaves a space out"),
        (lambda c: c.set_gab(0, (0, 0), float("nan"), 1), KtramError, "conductance: must be finite, not nan"),
        (lambda c: c.set_voltages(forward_voltage=float("inf")), KtramError, "Core.forward_voltage: must be finite, not inf"),
        (lambda c: c.set_pulse_width(0), KtramError, "Core.pulse_width: must be finite and above zero, not 0"),
        (lambda c: Core(0, 1), KtramError, "Core.crossbar_rows: must be an integer of at least 1, not 0"),
        (lambda c: Core(1, 1, model="bytes"), UnknownKeyError, "Core.model: must be one of byte, float, mss, rs, not 'bytes'"),
        (lambda c: Core(1, 1, fidelity="physical"), KeyError, "Core.fidelity: must be one of ideal, not 'physical'"),
        (lambda c: Core(1, 1, init="zero"), KeyError, f"Core.init: must be one of {', '.join(INIT_TYPES)}, not 'zero'"),
        (lambda c: c.set_comparator(code=True), TypeError, "comparator_code: must be an integer 0..255, not True; set_comparator_noise takes volts"),
        (lambda c: c.set_comparator(code=3.0), RegisterTypeError, "comparator_code: must be an integer 0..255, not 3.0; set_comparator_noise takes volts"),
        (lambda c: c.set_comparator(code=256), ValueError, "comparator_code: must be within 0..255, not 256"),
        (lambda c: Neuron(c.lane(0), 1, 2), KtramError, "Neuron: must be a window within the 2 spaces, not 2 from 1 on"),
        (lambda c: MSSProfile(tau=0.0), InputError, "MSSProfile.tau: must be finite and above zero, not 0.0"),
        (lambda c: ktram.UnitCrossbar(2, 2, []), ValueError, "UnitCrossbar: must have 4 devices, not 0"),
    ],
)  # fmt: skip
def test_refusals(call, kind, sentence) -> None:  # type: ignore[no-untyped-def]
    core = Core(2, 2, spaces_per_lane=2)
    with pytest.raises(kind) as caught:
        call(core)
    assert str(caught.value) == sentence
    assert isinstance(caught.value, InputError)


def test_numpy_integers_are_addresses() -> None:
    core = Core(1, 4, 2, model="byte", init="medium_noiseless", read_noise=0)
    core.evaluate(np.array([1, 2]), "FH")
    core.evaluate([np.int64(1), None], "FH")
    assert core.read_gab(0, (1, 2)) == [(132, 128), (130, 128)]


def test_a_changed_list_is_seen() -> None:
    """Only tuples are remembered, since only they cannot change."""
    core, aat = Core(1, 2, model="byte", init="medium_noiseless", read_noise=0), [0]
    core.evaluate(aat, "FH")
    aat[0] = 1
    core.evaluate(aat, "FH")
    assert core.read_gab(0, (0,)) == core.read_gab(0, (1,)) == (130, 128)


def test_neurons_share_a_lane_and_keep_their_activation() -> None:
    core = Core(1, 4, 3, model="byte", init="medium_noiseless", read_noise=0)
    lane = core.lane(0)
    left, right = Neuron(lane, 0, 1), Neuron(lane, 1, 2, first_address=2, addresses=2)
    core.set_gab(0, (0, None, None), 50, 150)
    assert left.evaluate((0,), "FFLV") == -0.5
    assert right.evaluate((0, None), "FFLV") == 0.0
    assert core.read_gab(0, (None, 2, None)) == (128, 128)
    left.evaluate((0,), "RU")  # its own sign, negative, not the lane's last
    assert core.read_gab(0, (0, None, None)) == (48, 150)
    right.evaluate((1, 1), "FH")
    assert core.read_gab(0, (None, 3, 3)) == [(130, 128), (130, 128)]
    with pytest.raises(AddressError, match=r"space 0: must be within 0\.\.1, not 2"):
        right.evaluate((2, None), "FF")


def test_comparator_register() -> None:
    core = Core(1, 1)
    assert core.comparator_noise == pytest.approx(300e-6)
    assert [core.set_comparator_noise(v) for v in (1e-3, 3e-3, 300e-6, 100e-6, 5.2e-3)] == [
        45,
        145,
        10,
        0,
        255,
    ]
    assert core.set_comparator_noise(305e-6, round_ok=True) == 10
    for volts, sentence in (
        (90e-6, "comparator noise: must be at least 100 uV, not 90 uV; comparator_enabled=False removes the comparator"),
        (305e-6, "comparator noise: must be 100 uV plus a multiple of 20 uV, not 305 uV; round_ok=True takes the nearest, 300 uV"),
        (5.22e-3, "comparator noise: must be at most 5200 uV, not 5220 uV"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            core.set_comparator_noise(volts)
        assert str(caught.value) == sentence
    core.set_comparator(enabled=False)
    assert core.comparator_noise == 0


def test_the_core_needs_numpy_alone() -> None:
    code = (
        "import sys; from cosim.ktram import Core; Core(1, 1).evaluate((0,), 'FF');"
        "print({'simpy', 'scipy', 'pandas', 'pydantic', 'ruamel', 'matplotlib', 'numba', 'sklearn', 'torch'}"
        " & {name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_everything_public_is_there() -> None:
    for name in ktram.__all__:
        assert getattr(ktram, name) is not None
    assert set(ktram.__all__) <= set(dir(ktram))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        ktram.nothing  # noqa: B018


@pytest.mark.acceptance
def test_print_agreement() -> None:
    """Long traces of every model: bytes exactly, everything else to the last bit."""
    print()  # noqa: T201
    for model in MODELS:
        for read_noise in (0.0, 0.02):
            rng = np.random.default_rng(99)
            core = Core(4, 4, 24, 2, model, init="medium_noise", seed=7, read_noise=read_noise)
            plain = PlainCore(4, 4, 24, 2, model, "medium_noise", 7, read_noise)
            worst, steps = 0.0, 4000
            for _ in range(steps):
                aat, name, lane = (
                    random_tuple(rng, 24, 16),
                    list(RULES)[rng.integers(14)],
                    int(rng.integers(2)),
                )
                worst = max(
                    worst, abs(core.evaluate(aat, name, lane) - plain.lanes[lane].evaluate(aat, name))
                )
            state = float(np.max(np.abs(core.state - state_of(plain))))
            print(  # noqa: T201
                f"{model:<5} read noise {read_noise:<4}: {steps} random instructions, largest difference y {worst:.1e}, state {state:.1e}"
            )
            assert worst <= 1e-12
            assert state == 0.0 if model == "byte" else state <= 1e-12
    for model in ("byte", "float", "rs"):
        core = Core(1, 1, model=model, init="medium", seed=1, read_noise=0)
        quoted = []
        for feedback in ("RH", "RL"):
            core.lane(0).run(np.zeros((5000, 1), dtype=int), ("FF", feedback))
            quoted.append((round(core.evaluate((0,), "FF"), 7), core.read_gab(0, (0,))))
        print(f"{model:<5} 5000 x (FF, RH), FF: {quoted[0]}; 5000 x (FF, RL), FF: {quoted[1]}")  # noqa: T201
