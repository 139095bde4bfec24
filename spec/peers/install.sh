#!/usr/bin/env bash
# Installs the real peers that the specs in this folder talk to: Prosody and ejabberd, and the validating resolver Unbound with what
# signs zones, from Debian packages.
# Does nothing when they are there already. Needs root only when something is missing.
set -euo pipefail

# lua-unbound lets Prosody ask a name server on any port; lua-sec gives it TLS.
# ldnsutils has ldns-keygen and ldns-signzone.
packages=(prosody lua-unbound lua-sec ejabberd unbound ldnsutils)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} = 0 ]; then
  dpkg-query -W prosody lua-unbound ejabberd unbound ldnsutils
  exit 0
fi

mend="Install them by hand on Debian 12: apt-get install --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "Missing for the peer specs: ${missing[*]}. There is no apt-get here. $mend" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "Missing for the peer specs: ${missing[*]}. Installing needs root. $mend (as root), then run this again." >&2
  exit 1
fi

# The packages would start system services; the specs run their own processes. An exit status of 101 forbids the start.
policy=/usr/sbin/policy-rc.d
kept=
if [ -e "$policy" ]; then
  kept=$(mktemp)
  cp -a "$policy" "$kept"
fi
restore() {
  if [ -n "$kept" ]; then mv -f "$kept" "$policy"; else rm -f "$policy"; fi
}
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -q --no-install-recommends "${missing[@]}" >&2; }
if ! install; then
  apt-get update -q >&2
  install || { echo "apt-get could not install: ${missing[*]}. $mend" >&2; exit 1; }
fi
# On a machine that boots with systemd they would start with it the next time.
if [ -d /run/systemd/system ]; then
  for service in prosody ejabberd unbound; do systemctl disable --quiet "$service" || true; done
fi
dpkg-query -W prosody lua-unbound ejabberd unbound ldnsutils
