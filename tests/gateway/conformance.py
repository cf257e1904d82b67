"""Every answer that a test gets is held against the OpenAPI document: its status, content type and shape."""

import json
import re
from functools import cache
from typing import Any

import httpx2
from jsonschema import Draft202012Validator

from argosy import config
from argosy.config import Settings
from argosy.gateway.app import create_app

_CHECKED_SIZE_BYTES_MAX = 100_000


class Document:
    """The document of an app."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._components = document["components"]
        self._routes = [(_pattern_of(path), methods) for path, methods in document["paths"].items()]
        self._validators: dict[str, Draft202012Validator] = {}

    async def check(self, response: httpx2.Response) -> None:
        """Raises AssertionError: no such answer is described. For an AsyncClient's hooks."""
        operation = self._operation(response.request.method, response.request.url.raw_path.split(b"?")[0].decode())
        if operation is None:
            return
        asked = f"{response.request.method} {response.request.url.path}: {response.status_code}"
        described = operation["responses"].get(str(response.status_code))
        assert described is not None, f"{asked} is not documented; {sorted(operation['responses'])} are"
        contents = described.get("content", {})
        media_type = response.headers.get("content-type", "").partition(";")[0]
        assert not contents or media_type in contents, f"{asked}: {media_type!r} is not documented"
        schema = contents.get(media_type, {}).get("schema", {})
        if media_type == "application/x-ndjson" and schema.get("type") != "string":  # a stream has no end
            for line in (await response.aread()).split(b"\n"):
                if line:
                    self._check_shape(asked, line, schema)
        elif media_type.endswith("json") and media_type != "application/x-ndjson":
            self._check_shape(asked, await response.aread(), schema)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, methods in self._routes:
            if pattern.fullmatch(path):
                operation: dict[str, Any] | None = methods.get(method.lower())
                return operation
        return None

    def _check_shape(self, asked: str, body: bytes, schema: dict[str, Any]) -> None:
        if len(body) > _CHECKED_SIZE_BYTES_MAX:
            return
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self._components}
            self._validators[key] = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
        errors = self._validators[key].iter_errors(json.loads(body))
        faults = [f"{error.json_path}: {error.message[:300]}" for error in errors]
        assert not faults, f"{asked}: {faults}"


def _pattern_of(path: str) -> re.Pattern[str]:
    """What addresses of a route look like."""
    return re.compile("/".join("[^/]+?" if part.startswith("{") else re.escape(part) for part in path.split("/")))


def document_of(settings: Settings) -> Document:
    """What every gateway with these settings answers: it takes longer to write than most tests do."""
    return _document_of(has_metrics=settings.gateway_metrics, is_required=settings.kg_auth_required)


@cache
def _document_of(*, has_metrics: bool, is_required: bool) -> Document:
    settings = config.load(
        {}, state_db_uri="postgresql://nowhere/x", gateway_metrics=has_metrics, kg_auth_required=is_required
    )
    return Document(create_app(settings).openapi())
