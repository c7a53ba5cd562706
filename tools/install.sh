#!/usr/bin/env bash
# Makes the virtual environment and installs cosim with its extras: install.sh PYTHON VENV
set -euo pipefail
python=$1
venv=$2
"$python" - <<'PY' || { echo "cosim needs Python 3.11 or newer: call make PYTHON=/path/to/python3.11" >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
PY
if [ ! -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" || {
        echo "python -m venv failed: on Debian install it with: apt-get install python3-venv" >&2
        exit 1
    }
fi
echo "installing cosim into $venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt "setuptools>=77" wheel
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt \
    --no-build-isolation -e ".[spice,fast,fit,docs,dev]"
# badcrossbar is the benchmarks' peer; its plotting half needs cairo's headers, its solver does not.
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt \
    --no-deps badcrossbar pathvalidate sigfig
# The compiled solver kernels are built once, here, and not in the first run.
"$venv/bin/python" tools/compile_kernels.py
# Byte code beforehand: start-up is a third of a short run.
"$venv/bin/python" -m compileall -q cosim
