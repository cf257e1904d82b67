#!/bin/sh
# What the tests need beside Python: a JVM and Maven for the broker, PostgreSQL 15 as the oldest server that works,
# pgbouncer as a proxy that is refused, libfaketime for a clock that is stepped, openssl for certificates, curl for what the
# documentation shows, Chromium for the console, and Node for an OpenID provider.
# Installs Debian's packages where it may, and says what is missing where it may not.
set -eu
missing=""
command -v java >/dev/null 2>&1 || missing="$missing openjdk-17-jre-headless"
command -v curl >/dev/null 2>&1 || missing="$missing curl"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
[ -x /usr/lib/postgresql/15/bin/postgres ] || missing="$missing postgresql-15"
[ -x /usr/sbin/pgbouncer ] || missing="$missing pgbouncer"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v chromedriver >/dev/null 2>&1 || missing="$missing chromium-driver"
[ -n "$(find /usr/lib -maxdepth 3 -name libfaketimeMT.so.1 2>/dev/null)" ] || missing="$missing libfaketime"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "the tests need:$missing (as root on Debian they are installed by themselves)" >&2
  exit 1
fi
