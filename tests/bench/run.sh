#!/usr/bin/env bash
# A small benchmark: run.sh PROGRAM, with DATABASE_URL in the environment. Starts the program on that database, fills in a user
# with 1,000 contacts, and lets wrk ask for them over 32 keep-alive connections. Prints a Markdown table and a chart.
set -eu -o pipefail
seconds=${SECONDS_EACH:-5}
port=${PORT:-18000}
site=http://127.0.0.1:$port
folder=$(mktemp -d)
JWT_SECRET=$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')
export JWT_SECRET LISTEN=127.0.0.1:$port LOG=warn
"$1" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$folder"' EXIT

for _ in $(seq 100); do
    curl -sf -o "$folder/ready" "$site/readyz" && break
    kill -0 $server || exit 1
    sleep 0.1
done

json() { curl -sf "$site$1" -H 'Content-Type: application/json' "${@:2}"; }
json /api/auth/signup -o "$folder/user" -d '{"username": "Bench", "email": "bench@example.com", "password": "123456"}'
token=$(json /api/auth/login -d '{"email": "bench@example.com", "password": "123456"}' | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
auth="Authorization: Bearer $token"
# The same kind of contact as people have; days of birth all over the year.
seq 0 999 | awk 'BEGIN { printf "[" } {
    printf "%s{\"first_name\":\"First%d\",\"last_name\":\"Last%d\",\"email\":\"person%d@example.com\",\"phone_number\":\"+38050%07d\",\"birthday\":\"19%02d-%02d-%02d\"}",
        ($1 ? "," : ""), $1, $1, $1, $1, 50 + $1 % 50, 1 + $1 % 12, 1 + $1 % 28 } END { printf "]" }' >"$folder/contacts.json"
json /api/contacts/import -o "$folder/import" -H "$auth" --data-binary @"$folder/contacts.json"

cat >"$folder/create.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"first_name": "New", "last_name": "Person", "email": "new@example.com", "birthday": "1990-05-17"}'
LUA

run() { # NAME PATH [SCRIPT]
    local out
    out=$(wrk -t1 -c32 -d"${seconds}s" --latency ${3:+-s "$3"} -H "$auth" "$site$2")
    if grep -q 'Non-2xx' <<<"$out"; then
        echo "$1: not every answer was right" >&2
        exit 1
    fi
    awk -v name="$1" '$1 == "50%" { p50 = $2 } $1 == "99%" { p99 = $2 } $1 == "Requests/sec:" { rps = $2 }
        END { printf "| %s | %.0f | %s | %s |\n", name, rps, p50, p99 }' <<<"$out" | tee -a "$folder/rows"
}
# The rates again, as bars: the longest is forty blocks.
chart() {
    awk -F ' *[|] *' '{ name[NR] = $2; rate[NR] = $3; if ($3 > most) most = $3 } END { for (n = 1; n <= NR; n++) {
        bar = ""; for (left = rate[n] * 40 / most; left >= 0.5; left--) bar = bar "█"
        printf "%-34s %s %d/s\n", name[n], bar, rate[n] } }' "$folder/rows"
}
echo
echo "wrk, one thread, 32 keep-alive connections, $seconds s each; Postgres beside it on a throwaway cluster (no fsync)."
echo
echo '| request | per second | median | 99th percentile |'
echo '|---|---:|---:|---:|'
run 'health check' /api/healthchecker
run 'one contact' /api/contacts/1
run 'list of 100' '/api/contacts?limit=100'
run 'search among 1,000' '/api/contacts?first_name=First99'
run 'birthdays of ten days among 1,000' '/api/contacts/upcoming_birthdays?days=10'
run 'create' /api/contacts "$folder/create.lua"
echo
chart
printf '\nResident memory afterwards: %s KiB\n\n' "$(awk '/VmRSS/ { print $2 }' /proc/$server/status)"
