"""Which brokers a Kafka cluster has."""

from typing import Any

from confluent_kafka import KafkaException, libversion, version
from confluent_kafka.admin import AdminClient

from argosy.config import Settings
from argosy.logs.kafka_config import Refusals, admin_config
from argosy.logs.kafka_metadata import REQUEST_TIMEOUT_S, answer


async def brokers(settings: Settings) -> dict[str, Any]:
    """Return the cluster's id and its brokers, and the versions of the client. (Brokers tell no client their own.)

    Raises LogUnavailableError.
    """
    refusals = Refusals()
    admin = AdminClient(admin_config(settings) | {"error_cb": refusals.note})
    try:
        cluster = await answer(admin.describe_cluster(request_timeout=REQUEST_TIMEOUT_S))
    except (KafkaException, TimeoutError) as error:
        raise refusals.unavailable(admin, error) from error
    return {
        "cluster_id": cluster.cluster_id,
        "controller": cluster.controller.id,
        "brokers": [
            {"id": each.id, "address": f"{each.host}:{each.port}", "rack": each.rack} for each in cluster.nodes
        ],
        "client": version()[0] if isinstance(version(), tuple) else version(),
        "librdkafka": libversion()[0],
    }
