#!/bin/sh
# What the tests need beside Python: a JVM and Maven for the broker, PostgreSQL 15 as the oldest server that works,
# pgbouncer as a proxy that is refused, libfaketime for a clock that is stepped, openssl for certificates, curl for what the
# documentation shows, Chromium for the console, Node for an OpenID provider, and Prometheus, Alertmanager and Caddy, whose
# own tools judge what deploy/ has for them.
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
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v amtool >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
command -v caddy >/dev/null 2>&1 || missing="$missing caddy"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # What is installed is a tool here, and no service: nothing may start by itself.
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
  fi
  # shellcheck disable=SC2086
  apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
  echo "the tests need:$missing (as root on Debian they are installed by themselves)" >&2
  exit 1
fi
