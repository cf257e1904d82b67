"""TLS between Argosy's own processes."""

from pydantic import BaseModel, Field


class GrpcTls(BaseModel):
    """See argosy.config.Settings."""

    grpc_tls_cert: str = Field(
        default="",
        description="File (PEM) with the certificate that a worker or shard serves TLS with, and that callers show.",
    )
    grpc_tls_key: str = Field(default="", description="File (PEM) with the key of that certificate.")
    grpc_tls_ca: str = Field(
        default="", description="File (PEM) with the CA of these certificates: callers speak TLS, and believe it alone."
    )
    grpc_tls_require_client: bool = Field(
        default=True,
        description="With GRPC_TLS_CA: workers and shards take no caller without a certificate of that CA.",
    )
    grpc_tls_name: str = Field(
        default="argosy-worker",
        pattern=r"^[A-Za-z0-9.-]{1,253}$",
        description="The DNS name in workers' certificates, which callers look for in place of the address; "
        "`address`: the address.",
    )

    @property
    def tls_fault(self) -> str:
        """What half of a configuration lacks, in one line; empty: nothing."""
        if bool(self.grpc_tls_cert) != bool(self.grpc_tls_key):
            return "GRPC_TLS_CERT and GRPC_TLS_KEY: a certificate needs its key, and a key its certificate"
        if self.grpc_tls_cert and not self.grpc_tls_ca:
            return "GRPC_TLS_CERT needs GRPC_TLS_CA: who serves TLS also calls others that do"
        if self.grpc_tls_ca and self.grpc_tls_require_client and not self.grpc_tls_cert:
            return (
                "GRPC_TLS_CA needs GRPC_TLS_CERT and GRPC_TLS_KEY, which callers show, or GRPC_TLS_REQUIRE_CLIENT=0 "
                "everywhere"
            )
        is_set = "grpc_tls_require_client" in self.model_fields_set
        if is_set and self.grpc_tls_require_client and not self.grpc_tls_ca:
            return "GRPC_TLS_REQUIRE_CLIENT=1 needs GRPC_TLS_CA, of which callers' certificates must be"
        return ""
