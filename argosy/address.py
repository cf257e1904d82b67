"""host:port and URLs, written in one place: an IPv6 address has brackets around it wherever a port may follow."""


def host_port(host: str, port: int) -> str:
    """As in a URL or a gRPC target. host: a name or an address, IPv6 with or without brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def bare_host(host: str) -> str:
    """As sockets take it: an IPv6 address without brackets."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def http_url(host: str, port: int, path: str = "") -> str:
    return f"http://{host_port(host, port)}{path}"
