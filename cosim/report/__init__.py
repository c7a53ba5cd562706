"""Reports: pure functions from the trace of a run to its result folder.

Names: `summarize` (the ``summary.json`` dict), `crosscheck` (the ``crosscheck.json`` dict), `write_folder`
(everything of a result folder), and the modules `tables` (CSV, Parquet), `timeline` (Chrome trace events),
`waves` (VCD), `html` (the report page). They read the trace only.
"""

from cosim.report.crosscheck import crosscheck
from cosim.report.files import json_text, write_whole
from cosim.report.folder import write_folder
from cosim.report.summary import summarize
from cosim.report.totals import EnergyTotals, energy_totals

__all__ = [
    "EnergyTotals",
    "crosscheck",
    "energy_totals",
    "json_text",
    "summarize",
    "write_folder",
    "write_whole",
]
