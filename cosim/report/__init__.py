"""Reports: pure functions from the trace of a run to its result folder.

Names: `summarize` (the ``summary.json`` dict), `write_folder` (everything of a result folder), and the modules
`crosscheck` (the ``crosscheck.json`` dict), `tables` (CSV, Parquet), `timeline` (Chrome trace events), `waves`
(VCD), `fst` (FST), `html` (the report page). They read the trace only.
"""

from cosim.report.files import json_text, write_whole
from cosim.report.folder import write_folder
from cosim.report.summary import summarize
from cosim.report.totals import EnergyTotals, energy_totals

__all__ = [
    "EnergyTotals",
    "energy_totals",
    "json_text",
    "summarize",
    "write_folder",
    "write_whole",
]
