"""Scenario files: schema, load, build, run, validate."""

from cosim.scenario.load import Scenario, load
from cosim.scenario.run import Result, run
from cosim.scenario.validate import Crosscheck, validate

__all__ = ["Crosscheck", "Result", "Scenario", "load", "run", "validate"]
