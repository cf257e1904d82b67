"""Generates the gRPC code from proto/ into argosy/rpc/ whenever the distribution is built or installed."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class GenerateStubs(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        import grpc_tools
        from grpc_tools import protoc

        root = Path(self.root)
        sources = sorted(str(path.relative_to(root / "proto")) for path in (root / "proto").rglob("*.proto"))
        well_known = Path(grpc_tools.__file__).parent / "_proto"
        arguments = ["protoc", f"-I{root / 'proto'}", f"-I{well_known}"]
        arguments += [f"--python_out={root}", f"--pyi_out={root}", f"--grpc_python_out={root}", *sources]
        if protoc.main(arguments) != 0:
            raise RuntimeError("protoc refused proto/: see its message above")
