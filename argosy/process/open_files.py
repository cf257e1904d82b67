"""The number of files and sockets that this process may have open."""

from typing import Final

from argosy.extras import needed

# Files that a process needs beside its clients' connections: for Postgres, the log, gRPC calls, log files, libraries.
OTHERS: Final = 256
_MAX: Final = 1_048_576


def open_files_max(*, is_own_process: bool) -> int:
    """Return how many files and sockets this process may have open.

    is_own_process: first raise the soft limit, often 1024, to the hard one. The soft limit is only a default for
    programs that use select(). In the user's own program it stays as it is.
    """
    with needed():
        import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MAX if hard == resource.RLIM_INFINITY else min(hard, _MAX)
    if is_own_process and soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    return _MAX if soft == resource.RLIM_INFINITY else soft
