#!/bin/sh
# Sees to it that programs are here that a target needs: need.sh PROGRAM=PACKAGE…, the packages being Debian's.
# Does nothing when all are; installs what is missing as root; else says in one line what is.
set -eu
programs='' packages=''
for pair; do
    command -v "${pair%%=*}" >/dev/null && continue
    programs="$programs ${pair%%=*}" packages="$packages ${pair#*=}"
done
[ -n "$packages" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "missing:$programs (Debian: apt-get install$packages)" >&2
    exit 1
fi
# The package lists of a fresh container are empty or old, so they are fetched when the first try fails.
# shellcheck disable=SC2086  # the packages are words
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages; }
set -x
install || { apt-get update -q && install; }
