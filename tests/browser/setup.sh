#!/bin/sh
# Sees to it that Chromium and ChromeDriver are here, for the browser test of /docs. Does nothing when they are.
set -eu
command -v chromium >/dev/null && command -v chromedriver >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "chromium and chromedriver are missing: install them (Debian: apt-get install chromium chromium-driver)" >&2
    exit 1
fi
# The package lists of a fresh container are empty or old, so they are fetched when the first try fails.
install() { DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium chromium-driver; }
set -x
install || { apt-get update -q && install; }
