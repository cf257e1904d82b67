"""A real Kafka that takes clients by TLS and a password alone, and lets each do what ACLs say."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from argosy.local.broker import Broker
from argosy.local.kafka_node import Node, properties
from tests.harness.certificates import Authority
from tests.harness.processes import free_port

MECHANISM: Final = "SCRAM-SHA-256"
_WITHIN_S: Final = 30.0
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_RESOURCES: Final = {"--topic": ResourceType.TOPIC, "--group": ResourceType.GROUP}


class SaslBroker:
    """bootstrap: for clients with a login. The listener without one is the administrator's, who may do everything."""

    def __init__(self, broker: Broker, port: int, ca: str) -> None:
        self.bootstrap = f"127.0.0.1:{port}"
        self.plain = broker.bootstrap_servers
        self.ca = ca
        self._broker = broker
        self._admin = AdminClient({"bootstrap.servers": self.plain})

    def cut_off(self) -> None:
        """Start it again: connections begin anew, and with them logins."""
        self._broker.restart(1)

    def settings(self, user: str, password: str) -> dict[str, str]:
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": MECHANISM,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
            "KAFKA_SSL_CA_LOCATION": self.ca,
        }

    def add_user(self, name: str, password: str) -> None:
        made = UserScramCredentialUpsertion(
            name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), password.encode()
        )
        for each in self._admin.alter_user_scram_credentials([made]).values():
            each.result(_WITHIN_S)

    def allow(self, command: str) -> None:
        """Do what a command `kafka-acls … --add …` does: that program is not among the jars of a broker."""
        words = iter(command.split())
        users, operations, resources = [], [], []
        pattern = ResourcePatternType.LITERAL
        for word in words:
            if word == "--allow-principal":
                users.append(next(words))
            elif word == "--operation":
                operations.append(AclOperation[_camel_to_upper(next(words))])
            elif word in _RESOURCES:
                resources.append((_RESOURCES[word], next(words)))
            elif word == "--resource-pattern-type":
                pattern = ResourcePatternType[next(words).upper()]
            elif word in ("--bootstrap-server", "--command-config"):
                next(words)
            else:
                assert word in ("kafka-acls.sh", "--add"), word
        bindings = [
            AclBinding(kind, name, pattern, user, "*", operation, AclPermissionType.ALLOW)
            for user in users
            for operation in operations
            for kind, name in resources
        ]
        assert bindings, command
        for each in self._admin.create_acls(bindings).values():
            each.result(_WITHIN_S)


def _camel_to_upper(word: str) -> str:
    """Return "DescribeConfigs" as "DESCRIBE_CONFIGS"."""
    return "".join(f"_{each}" if each.isupper() and place else each for place, each in enumerate(word)).upper()


@contextmanager
def sasl_broker(folder: Path) -> Iterator[SaslBroker]:
    """A broker whose properties say more than those of `argosy broker`."""
    authority, port = Authority(folder / "authority"), free_port()
    issued = authority.issue("broker")
    pem = folder / "broker.pem"
    pem.write_text(Path(issued.key).read_text() + Path(issued.cert).read_text())

    def more(node: Node, nodes: list[Node]) -> str:
        text = properties(node, nodes)
        own = dict(line.split("=", 1) for line in text.splitlines())
        return text + "\n".join(
            [
                f"listeners={own['listeners']},LOGIN://127.0.0.1:{port}",
                f"advertised.listeners={own['advertised.listeners']},LOGIN://127.0.0.1:{port}",
                f"listener.security.protocol.map={own['listener.security.protocol.map']},LOGIN:SASL_SSL",
                f"listener.name.login.sasl.enabled.mechanisms={MECHANISM}",
                f"listener.name.login.{MECHANISM.lower()}.sasl.jaas.config={_SCRAM}",
                "listener.name.login.ssl.keystore.type=PEM",
                f"listener.name.login.ssl.keystore.location={pem}",
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:ANONYMOUS",
                "",
            ]
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("argosy.local.broker.properties", more)
        with Broker(folder / "kafka", port=0) as broker:
            yield SaslBroker(broker, port, authority.ca)
