#!/usr/bin/env bash
# Fills the environment with what requirements.lock pins, and with `fit` itself. Snakemake runs this in the folder that it
# was started in, and makes the environment anew when this file changes: so it names the lock, and `make lock` the lock's sum.
set -euo pipefail
LOCK=ab8315ada7e94c8c068e7a3bf2e1c1fc67ce77b1ea7a1fec5ae14d24fc4512dd
if [ ! -f requirements.lock ]; then
    echo "$PWD: no requirements.lock here; start snakemake in the project's root" >&2
    exit 1
fi
if [ "$(sha256sum < requirements.lock | cut -d' ' -f1)" != "$LOCK" ]; then
    echo "requirements.lock is not the one that envs/fit.post-deploy.sh was written for; run make lock" >&2
    exit 1
fi
# One of the packages is published as its source. It is built with the locked setuptools, not with what pip would fetch.
FIRST=$(mktemp)
trap 'rm -f "$FIRST"' EXIT
sed -n '/^setuptools==/,/[^\\]$/p' requirements.lock > "$FIRST"
python -m pip install --no-deps --require-hashes --requirement "$FIRST"
python -m pip install --no-build-isolation --require-hashes --requirement requirements.lock
# In place, so that jobs run the code of this checkout as it stands; by its whole path, since jobs may start elsewhere.
python -m pip install --no-deps --no-build-isolation --editable "$PWD"
