#!/bin/sh
# Says what stands in for an image.
set -eu
case "$1" in
kafka) for jar in /opt/kafka/libs/kafka_2*.jar; do echo "Apache Kafka, $(basename "$jar"), on Java $(java --version | head -1)"; done ;;
postgres) postgres --version ;;
caddy) echo "Caddy $(dpkg-query -W -f '${Version}' caddy) of Debian" ;;
prometheus) prometheus --version 2>&1 | head -1 ;;
alertmanager) prometheus-alertmanager --version 2>&1 | head -1 ;;
esac
