"""The state of one upload over any number of tries: where the next one begins. It reads its source, and asks nobody.

A gateway that was lost, or a log that did not answer, leaves a job that says how many lines it has and the chain of
these. Where the source has the same chain, the upload goes on behind that line; else it is sent as a whole, and the
gateway says whether it is another one.
"""

from collections.abc import Iterator
from typing import Final

from argosy.client import calls
from argosy.client.calls import Call
from argosy.client.job import Job
from argosy.client.source import BEGIN, NDJSON, Source, blocks_of, place_behind

# Kinds of problems.
NO_GRAPH: Final = "graph_not_found"
UPLOAD_MOVED: Final = "upload_moved"


class Uploading:
    """An upload of a source to a graph under a key.

    sent_bytes: so many of the source were sent, as far as is known. job: it needs no further try, and this is its job.
    """

    def __init__(self, graph: str, source: Source, key: str) -> None:
        self.key = key
        self.graph = graph
        self.sent_bytes = 0
        self.size_bytes = source.size_bytes
        self.job: Job | None = None
        self._source = source
        self._begin = BEGIN
        self._received_lines = 0

    @property
    def question(self) -> Call:
        """The request for the job of this key, if there is one."""
        return calls.job_of_key(self.graph, self.key)

    @property
    def call(self) -> Call:
        """The request of the next try, without its body."""
        begin = self._begin
        if begin.line:
            return calls.ingest(self.graph, self.key, {"content-type": NDJSON}, behind=(begin.line, begin.chain.hex()))
        return calls.ingest(self.graph, self.key, self._source.headers, document_id=self._source.document_id)

    def blocks(self) -> Iterator[bytes]:
        """Yield the body of the next try."""
        self.sent_bytes = self._begin.offset
        for block in blocks_of(self._source, self._begin):
            yield block
            self.sent_bytes += len(block)

    def found(self, job: Job | None) -> bool:
        """Note what there is of this upload. Whether the log has more of it than was known before. Raises OSError.

        It reads the source up to there: in a thread, where that may be long.
        """
        self._begin = BEGIN
        if job is None:
            return False
        if job.has_ended and job.lines is None:
            self.job = job
            return True
        is_lines = self._source.headers["content-type"] == NDJSON
        if is_lines and job.received_lines:
            place = place_behind(self._source, None if job.is_uploaded else job.received_lines)
            if (place.line, place.chain.hex()) == (job.received_lines, job.chain):
                self._begin = place
                self.job = job if job.is_uploaded else None
        has_more = job.received_lines > self._received_lines
        self._received_lines = job.received_lines
        return has_more or self.job is not None
