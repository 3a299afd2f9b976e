#!/usr/bin/env bash
# Installs Chromium where no browser for the tests is found: Debian's package, as root.
set -euo pipefail
packages=(chromium fonts-dejavu-core)
for program in chromium google-chrome; do
    if command -v "$program" > /dev/null; then exit 0; fi
done
if ! command -v apt-get > /dev/null; then
    echo "tests/browser: no chromium found, and no apt-get to install Debian's ${packages[*]} with" >&2
    exit 1
fi
if [ "$(id -u)" != 0 ]; then
    echo "tests/browser: no chromium found; installing Debian's needs root: sudo tests/browser/install.sh" >&2
    exit 1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "tests/browser: installing Debian's ${packages[*]}"
if ! { apt-get update --quiet \
    && env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "${packages[@]}"; } > "$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "tests/browser: apt-get could not install ${packages[*]} (its last lines are above)" >&2
    exit 1
fi
