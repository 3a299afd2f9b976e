#!/usr/bin/env bash
# Installs SLURM's daemons where they are missing: Debian's packages, as root or with sudo.
set -euo pipefail
packages=(munge slurmctld slurmd slurm-client)
PATH="$PATH:/usr/sbin:/sbin"
missing=()
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" > /dev/null || missing+=("$program")
done
if [ ${#missing[@]} = 0 ]; then exit 0; fi
if ! command -v apt-get > /dev/null; then
    echo "tests/slurm: ${missing[*]} not found, and no apt-get to install Debian's ${packages[*]} with" >&2
    exit 1
fi
root=()
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo > /dev/null; then
        echo "tests/slurm: installing ${packages[*]} needs root, or sudo" >&2
        exit 1
    fi
    root=(sudo)
fi
"${root[@]}" apt-get update --quiet
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "${packages[@]}"
