#!/bin/sh
# Sees to it that the independent readers are in target/readers. Does nothing when they are.
set -eu
cd "$(dirname "$0")/../.."
readers=target/readers
wanted=tests/readers/requirements.txt
cmp -s "$wanted" "$readers/installed.txt" && exit 0
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Python 3 with venv is missing: install it (Debian: apt-get install python3-venv)" >&2
        exit 1
    fi
    # The package lists of a fresh container are empty or old, so they are fetched when the first try fails.
    install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends python3-venv; }
    install || { apt-get update -q && install; }
fi
set -x
rm -rf "$readers"
mkdir -p target
python3 -m venv "$readers"
"$readers/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: --no-deps -r "$wanted"
# Last, so that an attempt that was cut short is begun again.
cp "$wanted" "$readers/installed.txt"
