#!/usr/bin/env bash
# Fills the environment with what requirements.lock pins, and with `fit` itself. Snakemake runs this in the folder that it
# was started in, and makes the environment anew when this file changes: so it names the lock, and `make lock` the lock's sum.
set -euo pipefail
LOCK=cf64f51fe3edb61926ccc3f36b91a7492860b5f73fa7ef77527b3ec932969fd7
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
