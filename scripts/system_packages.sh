#!/usr/bin/env bash
# Debian packages that tests use: a real Serf agent to talk to, and strace to make syncs fail.
set -euo pipefail
packages=(serf strace)
missing=()
for package in "${packages[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
