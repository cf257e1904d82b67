#!/bin/bash
# A node of Kafka with the settings of its environment, as the official image takes them: KAFKA_A_B is a.b.
set -euo pipefail
file=/opt/kafka/config/server.properties
env | grep '^KAFKA_' | grep -v -e '^KAFKA_HEAP_OPTS=' -e '^KAFKA_OPTS=' | while IFS='=' read -r name value; do
  printf '%s=%s\n' "$(printf '%s' "${name#KAFKA_}" | tr 'A-Z_' 'a-z.')" "$value"
done >"$file"
run() {
  # shellcheck disable=SC2086
  exec java ${KAFKA_HEAP_OPTS:-} -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/kafka/libs/*' "$@"
}
(run kafka.tools.StorageTool format --ignore-formatted --cluster-id "$CLUSTER_ID" --config "$file")
run kafka.Kafka "$file"
