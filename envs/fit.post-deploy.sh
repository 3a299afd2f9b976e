#!/usr/bin/env bash
# Fills the environment with what requirements.lock pins, and with `fit` itself. Snakemake runs this in the folder that it
# was started in, and makes the environment anew when this file changes: so it names the lock, and `make lock` the lock's sum.
set -euo pipefail
LOCK=2467861f761575d5135a1c59c2d823813216e0965c1f40a1293b01bb86278e07
if [ ! -f requirements.lock ]; then
    echo "$PWD: no requirements.lock here; start snakemake in the project's root" >&2
    exit 1
fi
if [ "$(sha256sum < requirements.lock | cut -d' ' -f1)" != "$LOCK" ]; then
    echo "requirements.lock is not the one that envs/fit.post-deploy.sh was written for; run make lock" >&2
    exit 1
fi
python -m pip install --require-hashes --requirement requirements.lock
# In place, so that jobs run the code of this checkout as it stands; by its whole path, since jobs may start elsewhere.
python -m pip install --no-deps --no-build-isolation --editable "$PWD"
