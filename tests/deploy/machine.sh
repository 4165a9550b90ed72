#!/usr/bin/env bash
# A machine for tests/deploy/on_a_server.sh, made of this one: its files under an overlay that is gone afterwards, processes, users,
# network and control groups of its own, and a real systemd. What happens there touches nothing here.
#   machine.sh PROGRAM
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
program=$(readlink -f "$1")
[ "$(id -u)" = 0 ] || { echo 'Only root can make the machine: sudo make deploy' >&2; exit 1; }
[ -x /lib/systemd/systemd ] || { echo 'systemd is missing (Debian: apt-get install systemd libnss-systemd)' >&2; exit 1; }

folder=$(mktemp -d)
maker=''
manager=''
end() {
    # With it the machine's first process ends, and with that all of them.
    [ -z "$maker" ] || kill -KILL "$maker" 2>/dev/null || true
    while kill -0 "${maker:-none}" 2>/dev/null; do sleep 0.1; done
    umount -l "$folder/layer" 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

mkdir "$folder/layer" "$folder/root"
mount -t tmpfs tmpfs "$folder/layer"
mkdir "$folder/layer/upper" "$folder/layer/work"

# shellcheck disable=SC2016  # the inner shell expands these
boot='
set -eu
cd "$1"
root=$1/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/layer/upper,workdir=$1/layer/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for place in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$place"; done
chmod 1777 "$root/tmp"
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
ip link set lo up
mkdir -p "$root/run/test"
mount --bind "$2" "$root/run/test"
# A first start, with nothing on but what the test turns on.
: >"$root/etc/machine-id"
rm -rf "$root"/etc/systemd/system/*.wants "$root/var/lib/postgresql" "$root"/etc/postgresql/*
# Not chroot: within one, no user namespace can be made, and PrivateUsers= asks for one.
cd "$root"
pivot_root . mnt
umount -l /mnt
# As systemd itself has it where it boots a machine: credentials are mounted in a process of their own, and seen by others.
mount --make-rshared /
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no
'
# The sources, as somebody has them who has just fetched them, and the build, which needs a network.
mkdir -p "$folder/given/contactd/target/release"
(cd "$here" && tar c Makefile README.md docs tests/deploy) | tar x -C "$folder/given/contactd"
cp "$program" "$folder/given/contactd/target/release/contactd"

unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child sh -c "$boot" boot "$folder" "$folder/given" &
maker=$!
disown "$maker"   # or bash would tell how it ends
for ((i = 0; i < 200; i++)); do
    manager=$(pgrep -P "$maker" -f '^/lib/systemd/systemd --system' || true)
    [ -z "$manager" ] || break
    kill -0 "$maker" 2>/dev/null || { echo 'The machine could not be made: it needs overlayfs and cgroup2.' >&2; exit 1; }
    sleep 0.1
done
[ -n "$manager" ] || { echo 'systemd does not start there' >&2; exit 1; }
within=(nsenter --target "$manager" --mount --pid --net --uts --ipc --cgroup --root --wd=/ env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
for ((i = 0; i < 300; i++)); do
    state=$("${within[@]}" systemctl is-system-running 2>/dev/null || true)
    case $state in running | degraded) break ;; esac
    sleep 0.1
done
echo "systemd is $state there" >&2
"${within[@]}" bash -c 'cd / && exec bash /run/test/contactd/tests/deploy/on_a_server.sh'
