#!/usr/bin/env bash
# The packages are locked for pip, so conda brings Python and pip brings the rest. Run from the project's root.
set -euo pipefail
python -m pip install --require-hashes --requirement requirements.lock
python -m pip install --no-deps .
