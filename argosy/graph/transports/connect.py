"""Makes transports over gRPC, with the secret of the fleet."""

from argosy.address import shard_target
from argosy.clock import Clock
from argosy.config import Settings
from argosy.graph.facts import Member
from argosy.graph.transports.grpc import GrpcTransport
from argosy.rpc.call_client import Caller
from argosy.rpc.tls import shard_tls
from argosy.secret import load_keys


class GrpcConnect:
    """Makes transports to members (graph/transport.py, Connect)."""

    def __init__(self, key: bytes, clock: Clock, settings: Settings) -> None:
        """key: Keys.shards. Raises SettingError when a file of TLS cannot be read."""
        self._key = key
        self._clock = clock
        self._size_bytes_max = settings.shard_message_size_bytes_max
        self._tls = shard_tls(settings)

    def to(self, member: Member) -> GrpcTransport:
        caller = Caller(
            shard_target(member.endpoint),
            self._key,
            self._clock,
            message_size_bytes_max=self._size_bytes_max,
            tls=self._tls,
        )
        return GrpcTransport(caller, member.member_id)


def connect_to_shards(settings: Settings, clock: Clock) -> GrpcConnect:
    """Return what makes transports with the secret of the fleet. Raises SettingError."""
    keys = load_keys(settings.graph_service_auth_secret, settings.argosy_data_dir)
    return GrpcConnect(keys.shards, clock, settings)
