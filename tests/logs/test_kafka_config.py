"""What the settings make of a Kafka client."""

from argosy.config import load
from argosy.logs.kafka_config import client_config
from argosy.logs.kafka_reader import consumer_config
from argosy.logs.topic import ingest_topic, turns_topic


def test_tls_and_sasl_settings_reach_every_client() -> None:
    settings = load(
        {},
        kafka_bootstrap_servers="kafka:9093",
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-512",
        kafka_sasl_username="argosy",
        kafka_sasl_password="secret",
        kafka_ssl_ca_location="/ca.pem",
        kafka_ssl_certificate_location="/client.pem",
        kafka_ssl_key_location="/client.key",
    )

    for config in (client_config(settings), consumer_config(settings, turns_topic(settings))):
        assert config["bootstrap.servers"] == "kafka:9093"
        assert config["security.protocol"] == "SASL_SSL"
        assert config["sasl.mechanism"] == "SCRAM-SHA-512"
        assert (config["sasl.username"], config["sasl.password"]) == ("argosy", "secret")
        assert config["ssl.ca.location"] == "/ca.pem"
        assert (config["ssl.certificate.location"], config["ssl.key.location"]) == ("/client.pem", "/client.key")


def test_settings_that_are_empty_are_left_to_the_client() -> None:
    config = client_config(load({}, kafka_bootstrap_servers="kafka:9092"))

    assert not [name for name in config if name.startswith(("sasl.", "ssl."))]


def test_offsets_of_the_group_are_never_where_reading_begins() -> None:
    settings = load({}, kafka_bootstrap_servers="kafka:9092", lane="gpu", kafka_group="workers")
    config = consumer_config(settings, turns_topic(settings))

    assert config["group.id"] == "workers.gpu"
    assert config["auto.offset.reset"] == "error"
    assert config["enable.auto.offset.store"] is False


def test_the_largest_input_fits_into_a_record() -> None:
    settings = load({}, kafka_bootstrap_servers="kafka:9092", payload_size_bytes_max=8_388_608)

    assert turns_topic(settings).message_size_bytes_max > 8_388_608
    assert turns_topic(load({})).message_size_bytes_max >= 1_000_000


def test_what_compresses_well_does_not_fill_the_memory_of_an_ingest_worker() -> None:
    settings = load({}, kafka_bootstrap_servers="kafka:9092")
    config = consumer_config(settings, ingest_topic(settings))

    best_ratio = 255  # of lz4
    assert config["max.partition.fetch.bytes"] * best_ratio <= settings.ingest_held_size_bytes_max


def test_turns_are_fetched_as_the_client_fetches_by_itself() -> None:
    settings = load({}, kafka_bootstrap_servers="kafka:9092")

    assert consumer_config(settings, turns_topic(settings))["max.partition.fetch.bytes"] == 1_048_576


def test_a_full_record_and_the_longest_line_fit_into_a_record_of_ingest() -> None:
    settings = load({}, ingest_line_size_bytes_max=8_388_608, ingest_record_size_bytes=4_194_304)

    assert ingest_topic(settings).message_size_bytes_max > 8_388_608 + 4_194_304
