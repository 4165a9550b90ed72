# Everything a newcomer needs is `make run` and `make test`; `make` alone says the rest.
# Postgres is seen to by sql/cluster.sh, unless DATABASE_URL names a server to use.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run fresh openapi build install image deploy test check check-all budget hung restarts poolers failover scale shares bench fmt psql stop clean rust

LISTEN ?= 127.0.0.1:8000
export LISTEN
# Where rustup puts cargo, for a shell that has not read its profile since.
export PATH := $(PATH):$(HOME)/.cargo/bin

PREFIX ?= /usr/local
DESTDIR ?=
units = $(DESTDIR)$(PREFIX)/lib/systemd/system
program = $(or $(CARGO_TARGET_DIR),target)/release/contactd
# For `contactd version`; none outside of a checkout.
commit = $(shell git describe --always --dirty --exclude='*' 2>/dev/null)

cluster := sql/cluster.sh
data := .data/postgres
# An address to type: a listener on every interface is reached on this one.
site := http://$(patsubst 0.0.0.0:%,127.0.0.1:%,$(patsubst [::]:%,[::1]:%,$(LISTEN)))

help: ## say what there is
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo "Settings come from the environment: LISTEN=[::1]:8080 make run; DATABASE_URL=… make test."

# The last line ends quietly however the program ends, since make's own words would hide the
# program's: after Ctrl-C the program exits with 0, and make stops by the same signal. After
# a failure, such as a taken port, the shell sends make that signal, so it does not end with 0.
run: rust .data/jwt-secret ## build and serve on LISTEN (127.0.0.1:8000), with a database that stays in .data
	@echo 'Building contactd. The first time this takes a few minutes (two on a fast machine, ten on a slow one).'
	@cargo build --release --bin contactd
	@echo
	@echo 'Starting Postgres and contactd. A first call, from another terminal:'
	@echo
	@echo "  curl -i $(site)/api/auth/signup -H 'Content-Type: application/json' -d '{\"username\": \"Me\", \"email\": \"me@example.com\", \"password\": \"123456\"}'"
	@echo
	@echo 'or open $(site)/docs in a browser. Ctrl-C stops both. `make fresh` deletes the data;'
	@echo 'LISTEN=127.0.0.1:8001 make run serves on another port.'
	@echo
	@[ -n "$${JWT_SECRET-}$${JWT_SECRET_FILE-}" ] || export JWT_SECRET_FILE="$$PWD/.data/jwt-secret"; \
	export ACCESS_LOG="$${ACCESS_LOG-on}"; \
	$(cluster) with $(data) -- cargo run --quiet --release --bin contactd || { kill -INT $$PPID; exec sleep 0.3; } # alive until make has seen the signal

user: rust ## manage the users of `make run` (ARGS='list', ARGS='add EMAIL'; `contactd help` has all)
	@cargo build --quiet --release --bin contactd
	@$(cluster) with $(data) -- '$(program)' user $(ARGS)

fresh: ## delete the database of `make run`, with all users and contacts
	@$(cluster) remove $(data)

# Made once: a new one would log everybody out. Linked into place, so that of two makers at
# the same time both keep the first one's.
.data/jwt-secret:
	@mkdir -p .data
	@umask 077; new=$$(mktemp .data/jwt-secret.XXXXXX); \
	od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$$new"; \
	ln "$$new" $@ 2>/dev/null || test -s $@; rm -f "$$new"

build: rust ## build what `make install` installs; `contactd version` names the commit
	@export CONTACTD_COMMIT='$(commit)'; [ -n "$$CONTACTD_COMMIT" ] || unset CONTACTD_COMMIT; cargo build --release --locked --bin contactd

# It builds nothing, so that root needs no Rust. Settings that are there already stay.
install: ## install the program and its systemd units under PREFIX (/usr/local), its settings in /etc/contactd
	@test -x '$(program)' || { echo '`make build` first, as an ordinary user' >&2; exit 1; }
	install -D -m 755 '$(program)' '$(DESTDIR)$(PREFIX)/bin/contactd'
	install -d '$(units)' && install -d -m 700 '$(DESTDIR)/etc/contactd'
	sed 's|/usr/local/bin|$(PREFIX)/bin|' docs/deploy/contactd.service >'$(units)/contactd.service'
	install -m 644 docs/deploy/contactd.socket '$(units)/contactd.socket'
	test -e '$(DESTDIR)/etc/contactd/settings' || install -m 600 docs/deploy/settings '$(DESTDIR)/etc/contactd/settings'

image: ## build the image localhost/contactd, with podman, buildah or docker
	@engine=$$(command -v podman || command -v buildah || command -v docker) || { echo 'There is no podman, buildah or docker.' >&2; exit 1; }; \
	case $$engine in *docker) format= ;; *) format='--format docker' ;; esac; \
	"$$engine" build $$format --build-arg CONTACTD_COMMIT='$(commit)' --tag localhost/contactd --file docs/deploy/Containerfile .

deploy: rust ## follow "On a server" of README on a machine made for it, with systemd, sudo, nginx and Postgres
	@tests/support/need.sh unshare=util-linux ip=iproute2 nginx=nginx-light openssl=openssl curl=curl sudo=sudo pg_ctlcluster=postgresql /lib/systemd/systemd=systemd
	@ls /usr/lib*/libnss_systemd.so.2 /usr/lib/*/libnss_systemd.so.2 2>/dev/null | grep -q . || tests/support/need.sh libnss-systemd=libnss-systemd
	cargo build --release --bin contactd
	@tests/deploy/machine.sh "$(program)"

test: rust ## run all tests on a throwaway database (ARGS='--test api contacts' for some)
	@$(cluster) throwaway -- cargo test --no-fail-fast $(ARGS)

check: rust ## what must pass before a change lands: format, clippy, documentation, tests
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps
	tests/lines.sh
	@$(MAKE) --no-print-directory test
	tests/readers/setup.sh
	@$(cluster) throwaway -- cargo test --test readers
	tests/clients/setup.sh
	cargo test --test clients redocly
	@$(MAKE) --no-print-directory hung
	@tests/support/need.sh chromium=chromium chromedriver=chromium-driver
	@$(cluster) throwaway -- cargo test --test browser
	@tests/support/need.sh nginx=nginx-light curl=curl openssl=openssl
	@$(cluster) throwaway -- cargo test --test proxy
	@$(MAKE) --no-print-directory budget

check-all: rust ## what CI runs after that: others' linters, tester and client generators; ten thousand files of each format, made at random (FILES=… for more)
	tests/clients/setup.sh
	@$(cluster) throwaway -- cargo test --test clients
	@$(MAKE) --no-print-directory restarts
	@$(MAKE) --no-print-directory poolers
	@$(MAKE) --no-print-directory failover
	@if unshare --mount --cgroup sh -c 'mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w /mnt/r && \
	    mount -t overlay none -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r && mount -t cgroup2 none /sys/fs/cgroup' 2>/dev/null; \
	    then $(MAKE) --no-print-directory deploy; else echo 'left out: make deploy, which needs root, overlayfs and cgroup2'; fi
	@$(MAKE) --no-print-directory shares
	FILES=$${FILES:-10000} cargo test --test files

budget: rust ## counts and sizes against their limits: round trips, system calls, instructions, memory
	@tests/support/need.sh strace=strace valgrind=valgrind
	cargo build --release
	@CONTACTD="$$PWD/$${CARGO_TARGET_DIR:-target}/release/contactd" $(cluster) throwaway -- cargo test --test budget -- --test-threads=1 --nocapture

hung: rust ## stop, cut off, slow down, restart and replace the database under the program (ARGS='frozen log' for some)
	@tests/support/need.sh ip=iproute2 unshare=util-linux nsenter=util-linux
	@$(cluster) throwaway -- cargo test --test hung -- --test-threads=1 --nocapture $(ARGS)

restarts: rust ## restart two instances behind nginx and HAProxy, under clients; two roles in the database; backup and restore
	@tests/support/need.sh nginx=nginx-light haproxy=haproxy
	@env -u DATABASE_URL $(cluster) throwaway -- cargo test --test restarts -- --nocapture

poolers: rust ## PgBouncer between the program and Postgres: refused in transaction mode; in session mode the whole API
	@tests/support/need.sh pgbouncer=pgbouncer
	@env -u DATABASE_URL $(cluster) throwaway -- cargo test --test poolers -- --test-threads=1 --nocapture

failover: rust ## Patroni, etcd and HAProxy: the leader is killed, and hangs, while clients write
	@tests/support/need.sh 'patroni=patroni python3-etcd' etcd=etcd-server haproxy=haproxy
	@env -u DATABASE_URL $(cluster) throwaway -- cargo test --test failover -- --nocapture

scale: rust ## fill 4 GB with ten million contacts, and what each kind of request reads there (CONTACTS=… for fewer)
	@$(cluster) throwaway -- cargo test --test scale -- --nocapture

shares: rust ## attacks by one user, and what the others notice (CONTACTD_BEFORE=… names a build to compare with)
	@tests/support/need.sh wrk=wrk
	cargo build --release
	@CONTACTD="$$PWD/$${CARGO_TARGET_DIR:-target}/release/contactd" $(cluster) throwaway -- cargo test --test shares -- --test-threads=1 --nocapture

bench: rust ## a small benchmark of requests and of hot functions, on this machine
	@tests/support/need.sh wrk=wrk curl=curl
	cargo build --release
	@$(cluster) throwaway -- tests/bench/run.sh "$${CARGO_TARGET_DIR:-target}/release/contactd"
	cargo bench --bench hot

openapi: rust ## write docs/openapi.json anew, after a change of the API: look at the difference
	@$(cluster) throwaway -- env KEEP_OPENAPI=1 cargo test --quiet --test api the_document_is_the_one_that_is_kept

fmt: rust ## format the code
	cargo fmt

psql: ## open psql on the database of `make run`
	@$(cluster) with $(data) -- bash -euc 'command -v psql >/dev/null || { echo "psql is missing (Debian: postgresql-client)" >&2; exit 1; }; exec psql "$$DATABASE_URL"'

stop: ## stop the database of `make run`, should a kill -9 have left it running without the program
	@$(cluster) stop $(data)

clean: rust ## remove what was built; the database and the secret in .data stay
	cargo clean

rust:
	@command -v cargo >/dev/null || { echo "Rust is missing: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "A C linker, cc, is missing (Debian: apt-get install gcc libc6-dev)" >&2; exit 1; }
