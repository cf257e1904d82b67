"""A shard of graphs: where it serves, and its bounds."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Host, Seconds


class Shard(BaseModel):
    """See argosy.config.Settings."""

    shard_dir: str = Field(
        default="", description="Folder of a shard's graphs, which one process has; empty: `shard` in the data folder."
    )
    shard_host: Host = Field(default="127.0.0.1", description="Address that a shard binds.")
    shard_port: int = Field(default=9010, ge=0, le=65_535, description="Port that a shard binds; 0: a free one.")
    shard_socket: str = Field(
        default="", description="Path of a Unix socket that a shard binds instead of an address and port."
    )
    shard_allow_remote: bool = Field(
        default=False,
        description="Let a shard without TLS bind an address that is not loopback, where the network is trusted.",
    )
    shard_tls_cert: str = Field(
        default="",
        description="File (PEM) with the certificate that a shard serves TLS with, and that callers show; where one of "
        "SHARD_TLS_CERT, _KEY and _CA is set, they are in place of GRPC_TLS_* between shards and their callers.",
    )
    shard_tls_key: str = Field(default="", description="File (PEM) with the key of that certificate.")
    shard_tls_ca: str = Field(
        default="",
        description="File (PEM) with the CA of shards' certificates: callers speak TLS. At a shard: of its callers', "
        "which it then asks for a certificate.",
    )
    shard_tls_name: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9.-]{0,253}$",
        description="The DNS name in shards' certificates, which callers look for in place of the address; empty: the "
        "address of the shard's endpoint.",
    )
    shard_calls_max: int = Field(
        default=256, ge=1, le=100_000, description="Calls to a shard at once; one more is refused."
    )
    shard_call_age_max_s: Seconds = Field(
        default=60.0,
        description="How long a shard takes a signed call for, and how far a caller's clock may be from its own before "
        "the caller has to sign again.",
    )
    shard_message_size_bytes_max: int = Field(
        default=33_554_432,
        ge=2_097_152,
        le=1_073_741_824,
        description="Largest message to and from a shard; what has more comes in several, where it can.",
    )
    shard_requests_size_bytes_max: int = Field(
        default=134_217_728,
        ge=2_097_152,
        le=68_719_476_736,
        description="Bytes of the requests that a shard works at, and of those that it is being sent; what does not "
        "fit is refused.",
    )
    shard_stop_s: Seconds = Field(
        default=10.0, description="How long a shard that is told to end writes what waits to be written."
    )
    shard_write_threads: int = Field(
        default=2, ge=1, le=64, description="Graphs of one shard that are written to at once."
    )
    shard_feed_yield_s: Seconds = Field(
        default=0.02,
        description="Lines of an upload or a topic that are being written make way after so long for others who wait "
        "to write to the same graph, or to ask it; those that are left come again.",
    )
    shard_feed_nice: int = Field(
        default=5,
        ge=0,
        le=19,
        description="By how much the threads of a shard that write such lines yield to others on their machine "
        "(nice(2)); on Linux. With much more, calls about other graphs wait for these threads where no core is free.",
    )
    shard_graph_queue_max: int = Field(
        default=1_000,
        ge=1,
        le=100_000,
        description="Batches that wait to be written to one graph; one more is refused.",
    )
    shard_graph_queue_size_bytes_max: int = Field(
        default=67_108_864,
        ge=1_048_576,
        le=4_294_967_296,
        description="Memory of the batches that wait to be written to one graph; what does not fit is refused.",
    )
    shard_queue_size_bytes_max: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=68_719_476_736,
        description="Memory of all batches that wait to be written by one shard; what does not fit is refused.",
    )
    shard_read_threads: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Reads of one shard at once, but for the quick ones, which need no thread. One tenant has at most "
        "half of the threads, and at least one.",
    )
    shard_read_queue_max: int = Field(
        default=256,
        ge=0,
        le=100_000,
        description="Reads that wait for a thread of a shard, at most half of them one tenant's; one more is refused. "
        "So many graphs likewise wait until their view may work.",
    )
    shard_streams_max: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Bulk loads, exports and imports of one shard at once, at most half of them one tenant's; one more "
        "is refused.",
    )
    shard_copies_max: int = Field(
        default=8,
        ge=1,
        le=64,
        description="Graphs of one shard that are copied at once, to be moved or backed up, and graphs that it "
        "receives at once; one more is refused.",
    )
    shard_copy_hold_s: Seconds = Field(
        default=600.0,
        description="A copy of a graph of which nobody asks for anything for so long ends, and one that is being "
        "received is removed.",
    )
    shard_copy_wal_size_bytes_max: int = Field(
        default=1_073_741_824,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="What is written to a graph while it is copied, above which the copy ends, to be begun anew.",
    )
    shard_stall_s: Seconds = Field(
        default=2.0,
        description="A bulk load or import whose caller sends nothing for so long ends when others wait to write to "
        "the graph.",
    )
    shard_views_max: int = Field(
        default=16, ge=1, le=1_000, description="Graphs of one shard that are ready for Cypher; each has a process."
    )
    # Eight views at work, of which one tenant may have four: more would not be faster on the few cores of a shard.
    shard_views_size_bytes_max: int = Field(
        default=4_294_967_296,
        ge=134_217_728,
        le=1_099_511_627_776,
        description="Memory of all views of a shard. One that is built or asked counts with all that one may take: "
        "idle ones go for it, and queries for which there is not enough wait.",
    )
    # 200,000 nodes with a million edges and 60 bytes of props each take 430 MiB of it, and leave room to ask.
    shard_view_size_bytes_max: int = Field(
        default=536_870_912,
        ge=134_217_728,
        le=1_099_511_627_776,
        description="Memory of one view above which it ends: a larger graph cannot be asked in Cypher.",
    )
    shard_view_queries_max: int = Field(
        default=4, ge=1, le=64, description="Queries that one view answers at once; others wait for them."
    )
    shard_view_behind_size_bytes_max: int = Field(
        default=67_108_864,
        ge=1_048_576,
        le=4_294_967_296,
        description="Memory of the batches that a view has not taken in yet above which it is built anew.",
    )
    shard_view_build_s: Seconds = Field(
        default=120.0, description="A graph whose view is not built within this has none, and is not asked in Cypher."
    )
    shard_graphs_open_max: int = Field(
        default=2_000, ge=8, le=1_000_000, description="Graphs whose files a shard keeps open, if so many files may be."
    )
    shard_cache_size_bytes_max: int = Field(
        default=134_217_728,
        ge=16_777_216,
        le=1_099_511_627_776,
        description="Memory for the pages of open graphs above which those that were not used for longest are closed.",
    )
    shard_vectors_size_bytes_max: int = Field(
        default=268_435_456,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="Memory for the vectors of a shard's graphs above which those that were not asked for longest go. "
        "What has no room is read from the files at every search.",
    )
    graph_key_horizon_s: float = Field(
        default=604_800.0,
        ge=60,
        le=31_536_000,
        description="Keys of batches are known for so long; a batch with an older key is refused.",
    )
    graph_rows_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Ids that one call names, and rows of its answer."
    )
    graph_answer_size_bytes_max: int = Field(
        default=16_777_216, ge=1_048_576, le=1_073_741_824, description="Data of one answer about a graph."
    )
    graph_query_size_bytes_max: int = Field(
        default=65_536, ge=1_024, le=65_536, description="The text of a query in Cypher."
    )
    graph_params_size_bytes_max: int = Field(
        default=65_536, ge=1_024, le=1_048_576, description="The parameters of a query, as JSON."
    )
    graph_batch_size_bytes_max: int = Field(
        default=16_777_216, ge=1_048_576, le=67_108_864, description="Operations of one batch, as JSON."
    )
