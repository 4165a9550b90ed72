#!/usr/bin/env bash
# Counts the code lines of src: no blank lines, no comments, no unit tests (from `#[cfg(test)]` to the end of a file).
# Prints each part and the sum. With a number as argument it fails when the sum is above it: tests/lines.sh 8400
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
find src -name '*.rs' | LC_ALL=C sort | xargs awk -v most="${1:-0}" '
    FNR == 1 { tests = block = 0; part = FILENAME; sub("^src/", "", part); if (!sub("/.*", "/", part)) part = "(top)" }
    /^#\[cfg\(test\)\]$/ { tests = 1 }
    tests { next }
    { line = $0; gsub(/^[ \t]+|[ \t]+$/, "", line) }
    block { if (line ~ /\*\//) block = 0; next }
    line ~ /^\/\*/ { if (line !~ /\*\//) block = 1; next }
    line == "" || line ~ /^\/\// { next }
    { lines[part]++; sum++ }
    END {
        for (part in lines) printf "%6d  %s\n", lines[part], part | "sort -k2"
        close("sort -k2"); printf "%6d  src\n", sum
        if (most && sum > most) { printf "src has %d code lines, more than %d\n", sum, most > "/dev/stderr"; exit 1 }
    }'
