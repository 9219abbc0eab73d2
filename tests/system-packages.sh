#!/bin/sh
# Install the programs that some tests compare with, and the browser that some run in. Where that cannot be, those tests are skipped and say so;
# in CI (the variable CI is set) a missing program is a failure.
set -eu

missing=""
for program in tshark tcpdump chromium; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
# the browser is steered by a program that wants this library
ls /usr/lib/*/libatomic.so.1 >/dev/null 2>&1 || missing="$missing libatomic1"
[ -z "$missing" ] && exit 0
case $missing in *chromium*) missing="$missing fonts-dejavu-core" ;; esac # a page without a font has no width

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
    sudo -n true 2>/dev/null || as_root="no"
fi
if [ "$as_root" != no ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing$missing by apt-get"
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # several words are meant
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "not installed:$missing; the tests that need them will be skipped"
[ -z "${CI:-}" ]
