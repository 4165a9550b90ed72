#!/usr/bin/env bash
# Follows README, "On a server", word by word: as a user without rights but for sudo, in an empty folder, on the machine that
# machine.sh makes. `make build` is left out, for there is no network to fetch packages from: the build is given.
set -eu -o pipefail
say() { echo "== $*"; }
die() {
    echo "FAILED: $*" >&2
    systemctl status --no-pager --lines=0 contactd.service contactd.socket >&2 || true
    journalctl --no-pager -n 40 >&2 || true
    exit 1
}
# As a reader, who has a name of their own.
readonly name=book.example.org

# ---- The machine, as its owner has it ----------------------------------------------------

useradd --create-home --shell /bin/bash newcomer
echo 'newcomer ALL=(ALL:ALL) NOPASSWD: ALL' >/etc/sudoers.d/newcomer
grep -q '^passwd:.*systemd' /etc/nsswitch.conf || sed -i 's/^passwd:.*/& systemd/; s/^group:.*/& systemd/' /etc/nsswitch.conf
echo "127.0.0.1 localhost $(hostname) $name" >/etc/hosts
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$name" -addext "subjectAltName=DNS:$name" \
    -keyout "/etc/ssl/private/$name.key" -out "/etc/ssl/certs/$name.pem" 2>/dev/null
cat "/etc/ssl/certs/$name.pem" >>/etc/ssl/certs/ca-certificates.crt
version=$(ls /usr/lib/postgresql | sort -V | tail -n 1)
install -d -o postgres -g postgres /var/lib/postgresql /run/postgresql
LC_ALL=C pg_createcluster "$version" main >/dev/null 2>&1 || die 'there is no Postgres'
systemctl daemon-reload
systemctl start postgresql.service "postgresql@$version-main.service" nginx.service || die 'Postgres and nginx do not start'

# ---- What README says ---------------------------------------------------------------------

home=/home/newcomer/empty
install -d -o newcomer -g newcomer "$home"
cp -a /run/test/contactd "$home/contactd" && chown -R newcomer: "$home/contactd"
readme=$home/contactd/README.md
# Block N of the section.
block() {
    awk -v n="$1" '/^## /{ours = $0 == "## On a server"} !ours{next}
        /^```sh$/{count++; inside = 1; next} /^```$/{inside = 0} inside && count == n' "$readme"
}
[ -n "$(block 4)" ] && [ -z "$(block 5)" ] || die 'the section has other blocks of lines than this script knows'
follow() { # N
    say "block $1"
    block "$1" | sed "/^make build\$/d; s/^name=contacts.example.com/name=$name/" >/home/newcomer/lines
    sudo -u newcomer bash -euxo pipefail -c 'cd ~/empty/contactd && . ~/lines' || die "README's lines"
}
user() { sudo -u newcomer bash -c 'cd ~/empty && eval "$1"' user "$1"; }
api() { curl -sS --max-time 20 -H 'Content-Type: application/json' "$@"; }
token() { sed 's/.*"access_token":"\([^"]*\)".*/\1/'; }
status() { curl -s -o /dev/null --max-time 20 -w '%{http_code}' "$@"; }

follow 1
say "$(systemctl show -p ActiveState,SubState,StatusText,NRestarts,User contactd.service | tr '\n' ' ')"
user "curl -fsS https://$name/readyz" | grep -q ready || die 'it is not ready'
login='{"username": "A", "email": "a@example.com", "password": "correct horse"}'
api "https://$name/api/auth/signup" -d "$login" | grep -q '"email":"a@example.com"' || die 'no sign-up'
old=$(api "https://$name/api/auth/login" -d "$login" | token)
api "https://$name/api/contacts" -H "Authorization: Bearer $old" -d '{"first_name": "Ivan"}' | grep -q Ivan || die 'no contact'
api "https://$name/api/auth/signup" -d '{"username": "B", "email": "b@example.com", "password": "1234567"}' |
    grep -q '"field":"password"' || die 'the settings do not count'
api "https://$name/api/auth/sessions" -H "Authorization: Bearer $old" -H 'X-Forwarded-For: 8.8.8.8' |
    grep -q '"ip":"127.0.0.1"' || die 'nginx is not believed, or its client is'

say 'who it is, and what it can read'
pid=$(systemctl show -P MainPID contactd.service)
[ "$(stat -c %U "/proc/$pid")" = contactd ] || die "it runs as $(stat -c %U "/proc/$pid")"
grep -q '^CapEff:.0*$' "/proc/$pid/status" && grep -q '^NoNewPrivs:.1$' "/proc/$pid/status" || die 'it has rights'
grep -q '^Seccomp:.2$' "/proc/$pid/status" || die 'its system calls are not filtered'
! user 'cat /etc/contactd/jwt-secret' 2>/dev/null || die 'everybody can read the secret'
tr '\0' '\n' <"/proc/$pid/environ" | grep -q '^JWT_SECRET_FILE=/run/credentials/' || die 'no credential'
! journalctl --no-pager -u contactd.service | grep -iE 'permitted|denied|warn|error' || die 'something is refused to it'

say 'the line about users'
line=$(sed -n '/^## On a server/,/^## Running/s/^\*\*Users.\*\* `\([^`]*\)`.*/\1/p' "$readme")
user "$line" | grep -q 'active *a@example.com' || die 'no list of users'

say 'a watchdog that is not answered'
kill -STOP "$pid"
for ((i = 0; i < 100; i++)); do
    now=$(systemctl show -P MainPID contactd.service)
    [ "$now" = "$pid" ] || [ "$now" = 0 ] || break
    sleep 1
done
[ "$now" != "$pid" ] || die 'a program that is stopped is not started anew'
[ "$(status "https://$name/readyz")" = 200 ] || die 'it is not back'

# ---- Backup, restore, upgrade ----------------------------------------------------------------

# The rows of every table, as a text.
content() { # DATABASE
    local table
    sudo -u postgres psql -XAtd "$1" -c "select table_name from information_schema.tables where table_schema = 'public' order by 1" |
        while read -r table; do
            sudo -u postgres psql -XAtd "$1" -c "select '$table', t::text from \"$table\" t order by 2" </dev/null
        done
}
follow 2
content contacts >/root/before
grep -q '^contacts|.*Ivan' /root/before || die 'nothing is compared'
api "https://$name/api/contacts" -H "Authorization: Bearer $old" -d '{"first_name": "Later"}' >/dev/null
follow 3
content contacts | diff /root/before - || die 'the restored database has other rows'
[ "$(status "https://$name/api/users/me" -H "Authorization: Bearer $old")" = 401 ] || die 'an old token counts after a restore'
new=$(api "https://$name/api/auth/login" -d "$login" | token)
api "https://$name/api/contacts" -H "Authorization: Bearer $new" | grep -q Ivan || die 'the contact is gone'
sudo -u postgres psql -XAtd replaced -c 'select first_name from contacts' | grep -q Later || die 'what was replaced is gone'

say 'requests during an upgrade'
: >/root/asked
for _ in 1 2 3 4; do
    while [ ! -e /root/enough ]; do
        echo "$(status "https://$name/api/users/me" -H "Authorization: Bearer $new")" >>/root/asked
    done &
done
mkdir -p /usr/local/share/contactd
echo 'correct horse' >/usr/local/share/contactd/passwords
sed -i 's/^SIGNUP=open/SIGNUP=closed/; s/^#REFUSED/REFUSED/' /etc/contactd/settings
for moment in before after; do
    so_far=$(wc -l </root/asked)
    while [ "$(wc -l </root/asked)" -lt $((so_far + 40)) ]; do sleep 0.1; done
    [ $moment = after ] || follow 4
done
touch /root/enough
wait
say "answers: $(sort /root/asked | uniq -c | tr '\n' ' ')"
! grep -qv '^200$' /root/asked || die 'requests failed'
[ "$(status "https://$name/api/auth/signup" -H 'Content-Type: application/json' \
    -d '{"username": "C", "email": "c@example.com", "password": "a fine one"}')" = 403 ] || die 'the settings were replaced'

say 'a wrong setting'
echo 'WORKERS=none' >>/etc/contactd/settings
systemctl restart contactd 2>/dev/null && die 'it starts with a wrong setting'
sleep 3
systemctl is-failed -q contactd && [ "$(systemctl show -P NRestarts contactd)" = 0 ] || die 'it is started again and again'

score=$(systemd-analyze security --no-pager contactd.service | sed -n 's/.*exposure level[^:]*: *\([0-9.]*\).*/\1/p')
say "systemd-analyze security: $score"
awk -v score="$score" 'BEGIN{exit !(score != "" && score <= 1.5)}' || die 'the unit is less strict'
say 'README is right'
