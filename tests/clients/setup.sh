#!/bin/sh
# Sees to it that the linters and client generators are in target/clients. Does nothing when they are.
set -eu
cd "$(dirname "$0")/../.."
clients=target/clients
wanted="tests/clients/package.json tests/clients/requirements.txt tests/clients/setup.sh"
if [ -e "$clients/installed" ] && [ "$(cat $wanted)" = "$(cat "$clients/installed")" ]; then
    exit 0
fi
tests/support/need.sh node=nodejs npm=npm
# What the linter of package.json needs. Debian 12 has an older one.
node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || major === 22 && minor >= 12 || major === 20 && minor >= 19 ? 0 : 1)' || {
    echo "Node $(node --version) is too old: 20.19 or 22.12 or later is needed (https://nodejs.org)" >&2
    exit 1
}
python3 -c 'import ensurepip, venv' 2>/dev/null || tests/readers/setup.sh
set -x
rm -rf "$clients"
mkdir -p "$clients"
cp tests/clients/package.json "$clients"
# The date pins what these packages need in their turn, in place of a lock file of some thousand lines.
(cd "$clients" && npm install --before=2026-11-20 --ignore-scripts --no-audit --no-fund --no-package-lock --loglevel=error)
python3 -m venv "$clients/python"
"$clients/python/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r tests/clients/requirements.txt
# Last, so that an attempt that was cut short is begun again.
cat $wanted >"$clients/installed"
