r"""Fit a device model to measurements: a quasi-random survey, then least squares from the best places.

The survey (Sobol points, seeded) guards against local minima: a loop's error has many, since a threshold that
is too high gives a loop that never opens. lmfit then runs scipy's trust-region least squares inside the
bounds, for some steps from each of the best places and to the end from the best of those, with a Jacobian that the batch simulation gives in one go.

The confidence intervals are those of the linearised model at the optimum, Student's t at 95 %, in the search
coordinate of each parameter (so they are ratios for a logarithmic one). Residuals of a loop are correlated
from sample to sample; the effective number of samples is :math:`n(1-\rho)/(1+\rho)` with the residuals'
correlation :math:`\rho` at lag 1 (Bayley and Hammersley, J. R. Stat. Soc. Suppl. 8, 184, 1946), and the
intervals are widened accordingly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cosim.devices.base import DeviceModel, FloatArray
from cosim.errors import FitError
from cosim.fit.circuit import Accuracy
from cosim.fit.measurement import Loop, Measurement, scales
from cosim.fit.outcome import Fit, ParameterEstimate, measurement_error
from cosim.fit.problem import Problem, check_model
from cosim.fit.ranges import Range, default_ranges

_CONFIDENCE = 0.95
_AT_BOUND = 1e-3
_COARSE = Accuracy(step=0.1, shortest=1e-2, periods=2)
_TRIAL, _FINAL, _FINALISTS = 1e-2, 1e-5, 4
_EVALUATIONS = {_TRIAL: 25, _FINAL: 80}
"""At most, by tolerance."""
_OUTLYING = 0.05
_ROUNDS, _EVALUATIONS_OF_ROUND = 12, 10
"""How often the weights of an even fit are changed, and how far each least squares goes."""
_ROUGH = Accuracy(step=0.3, shortest=0.03, periods=2)


def fit(
    model: type[DeviceModel],
    measurements: Sequence[Measurement],
    *,
    fixed: Mapping[str, Any] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    temperature: float = 300.0,
    survey: int = 1024,
    starts: int = 12,
    seed: int = 0,
    loss: str = "linear",
    even: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Fit:
    """Return the best parameters of ``model`` for all ``measurements`` together.

    Parameters
    ----------
    model : type[DeviceModel]
        Class of the device.
    measurements : sequence of Loop or PulseTrain
        Every one counts the same, whatever its current.
    fixed : mapping, optional
        Parameters [SI] that stay as they are.
    bounds : mapping, optional
        ``(low, high)`` [SI] in place of those that the data suggest.
    temperature : float
        Of the measurement [K].
    survey, starts : int
        Quasi-random points of the survey (rounded up to a power of two), and how many of them are improved.
    seed : int
        Of the survey: the same seed gives the same fit.
    loss : {"linear", "soft_l1"}
        ``soft_l1`` counts outlying samples less.
    even : bool
        Weigh the measurements anew, those with a large error more, until the largest error is as small as it gets.
    progress : callable, optional
        Called with the searches that are done (survey, starts, final ones) and their number.

    Raises
    ------
    FitError
        Where nothing can be fitted.
    """
    loops = tuple(entry.rolled() if isinstance(entry, Loop) else entry for entry in measurements)
    problem = make_problem(model, loops, fixed or {}, bounds or {}, temperature)
    report = progress or (lambda _done, _total: None)
    steps = 1 + starts + min(starts, _FINALISTS)
    report(0, steps)
    candidates = _survey(problem, survey, starts, seed)
    short, trials, finals = dataclasses.replace(problem, accuracy=_COARSE), [], []
    for done, candidate in enumerate(candidates, 1):
        report(done, steps)
        trials.append(_improve(short, candidate, loss, _TRIAL))
    trials.sort(key=lambda result: _cost(result, loss))
    for done, trial in enumerate(trials[:_FINALISTS], 1 + starts):
        report(done, steps)
        finals.append(_improve(problem, _point(problem, trial), loss, _FINAL))
    report(steps, steps)
    best = min(finals, key=lambda result: _cost(result, loss))
    return _evened(problem, best, loss) if even else _outcome(problem, best)


def _evened(problem: Problem, best: Any, loss: str) -> Fit:
    """Return the fit with the smallest largest error, by least squares with weights that follow the errors.

    A step of Lawson's algorithm (C. L. Lawson, thesis, UCLA 1961): weights grow with the errors that they gave.
    """
    found, point = _outcome(problem, best), _point(problem, best)
    weights = np.ones(len(problem.measurements))
    errors = np.array([entry.of_range for entry in found.errors])
    for _ in range(_ROUNDS):
        weights = weights * errors
        weights *= np.sqrt(len(weights) / np.sum(weights**2))
        weighted = dataclasses.replace(problem, weights=tuple(weights.tolist()))
        result = _improve(weighted, point, loss, _FINAL, _EVALUATIONS_OF_ROUND)
        other, point = _outcome(weighted, result), _point(problem, result)
        errors = np.array([entry.of_range for entry in other.errors])
        if errors.max() < max(entry.of_range for entry in found.errors):
            found = other
    return found


def make_problem(
    model: type[DeviceModel],
    measurements: tuple[Measurement, ...],
    fixed: Mapping[str, Any],
    bounds: Mapping[str, tuple[float, float]],
    temperature: float,
) -> Problem:
    """Return the problem with bounds from the data, from ``bounds``, and without the ``fixed`` parameters."""
    check_model(model, [*fixed, *bounds])
    if not model.moves:
        raise FitError(f"model {model.name} never changes: there is nothing to fit to a loop")
    if not measurements:
        raise FitError("a fit needs at least one measurement")
    ranges = dict(default_ranges(model, scales(measurements)))
    for name, (low, high) in bounds.items():
        ranges[name] = Range(low, high, ranges[name].logarithmic if name in ranges else low > 0)
    free = {name: limits for name, limits in ranges.items() if name not in fixed}
    return Problem(model, free, dict(fixed), measurements, temperature)


def _survey(problem: Problem, count: int, starts: int, seed: int) -> FloatArray:
    """Return the best points of a seeded Sobol sequence, no two of them close to each other."""
    from scipy.stats import qmc

    power = max(3, int(np.ceil(np.log2(max(count, starts, 2)))))
    points = qmc.Sobol(len(problem.ranges), rng=np.random.default_rng(seed)).random_base2(power)
    rough = dataclasses.replace(problem, accuracy=_ROUGH)
    cost = np.mean(np.minimum(np.abs(rough.residuals(points)), 1.0) ** 2, axis=1)
    chosen: list[FloatArray] = []
    for k in np.argsort(cost, kind="stable"):
        if all(np.abs(points[k] - other).max() > 0.05 for other in chosen):
            chosen.append(points[k])
        if len(chosen) == starts:
            break
    return np.array(chosen)


def _cost(result: Any, loss: str) -> float:
    """Return the cost of lmfit's result: the sum of squares, or scipy's soft_l1."""
    squares = np.asarray(result.residual) ** 2
    if loss == "soft_l1":
        squares = 2 * _OUTLYING**2 * (np.sqrt(1.0 + squares / _OUTLYING**2) - 1.0)
    return float(np.sum(squares))


def _point(problem: Problem, result: Any) -> FloatArray:
    """Return the point of lmfit's result."""
    return np.array([result.params[name].value for name in problem.names])


def _improve(
    problem: Problem, start: FloatArray, loss: str, tolerance: float, most: int | None = None
) -> Any:
    """Return lmfit's result of least squares from a point, to a relative ``tolerance`` of the cost.

    At most ``most`` evaluations, else `_EVALUATIONS`.
    """
    import lmfit

    parameters = lmfit.Parameters()
    for name, value in zip(problem.names, start, strict=True):
        parameters.add(name, value=float(np.clip(value, 1e-6, 1 - 1e-6)), min=0.0, max=1.0)

    def point(given: Any) -> FloatArray:
        return np.array([given[name].value for name in problem.names])

    minimizer = lmfit.Minimizer(lambda given: problem.residuals(point(given)[None, :])[0], parameters)
    with np.errstate(invalid="ignore", divide="ignore"):  # lmfit's covariance of parameters without effect
        return minimizer.minimize(
            method="least_squares",
            jac=lambda given: problem.jacobian(point(given)),
            loss=loss,
            f_scale=_OUTLYING,
            ftol=tolerance,
            xtol=0.1 * tolerance,
            max_nfev=most or _EVALUATIONS[tolerance],
        )


def _outcome(problem: Problem, result: Any) -> Fit:
    point = _point(problem, result)
    device = problem.device(point)
    given = [part[0] for part in problem.predict(point[None, :])]
    errors = tuple(
        measurement_error(entry, part) for entry, part in zip(problem.measurements, given, strict=True)
    )
    residuals = problem.residuals(point[None, :])[0]
    return Fit(
        model=problem.model.name,
        device=device,
        temperature=problem.temperature,
        parameters=_estimates(problem, point, result, residuals),
        errors=errors,
        measurements=problem.measurements,
        predictions=tuple(given),
        r_squared=1.0 - float(np.sum(residuals**2) / np.sum(_centred(problem) ** 2)),
        reduced_chi_square=float(result.redchi),
        bic=float(result.bic),
        evaluations=int(result.nfev),
    )


def _centred(problem: Problem) -> FloatArray:
    parts = zip(problem.measurements, problem.scale, strict=True)
    return np.concatenate([(m.observed - m.observed.mean()) / s for m, s in parts])


def _estimates(
    problem: Problem, point: FloatArray, result: Any, residuals: FloatArray
) -> tuple[ParameterEstimate, ...]:
    from scipy.stats import t as student

    effective = _effective_samples(problem, residuals)
    quantile = float(student.ppf(0.5 + 0.5 * _CONFIDENCE, max(effective - len(point), 1.0)))
    widening = float(np.sqrt(len(residuals) / effective))
    values = problem.values(point)
    found = []
    for k, name in enumerate(problem.names):
        error = result.params[name].stderr
        at_bound = not _AT_BOUND < point[k] < 1 - _AT_BOUND
        interval = None
        if error is not None and np.isfinite(error) and not at_bound:
            reach = quantile * widening * error
            ends = np.clip([point[k] - reach, point[k] + reach], 0.0, 1.0)
            low, high = (float(problem.values(_with(point, k, end))[name]) for end in ends)
            interval = (low, high)
        found.append(ParameterEstimate(name, float(values[name]), interval, at_bound))
    return tuple(found)


def _effective_samples(problem: Problem, residuals: FloatArray) -> float:
    """Return the number of independent samples that correlated residuals are worth."""
    total, first = 0.0, 0
    for entry in problem.measurements:
        part = residuals[first : first + len(entry.observed)]
        first += len(part)
        deviation = part - part.mean()
        power = float(deviation @ deviation)
        rho = float(deviation[1:] @ deviation[:-1]) / power if power > 0 else 0.0
        rho = min(max(rho, 0.0), 0.99)
        total += len(part) * (1.0 - rho) / (1.0 + rho)
    return max(total, 1.0)


def _with(point: FloatArray, k: int, value: float) -> FloatArray:
    changed = point.copy()
    changed[k] = value
    return changed
