"""Which topics of others are read, and into which graphs."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from argosy.config.kinds import Seconds, from_json
from argosy.names import TENANT_PATTERN

_TOPICS_MAX: Final = 100  # each is read by a client of its own
_EXAMPLE: Final = '{"orders": {"graph": "shop", "map": "shop.mapping:orders"}}'


class TopicSource(BaseModel):
    """One topic that is read. mapping: module:function. begin: where it is read from first. run: another word begins
    another job, which goes on where the one before ended.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")
    tenant: str = Field(default="default", pattern=TENANT_PATTERN)
    graph: str = Field(min_length=1, max_length=512)
    mapping: str = Field(alias="map", max_length=500)
    begin: Literal["earliest", "latest"] = Field(default="earliest", alias="from")
    run: str = Field(default="", max_length=100)


def _sources(value: Any) -> Any:
    """Return the sources of a JSON object, by topic, as a tuple; what is no such object stays what it is."""
    value = from_json(value, (), _EXAMPLE)
    if not isinstance(value, dict):
        return value
    if len(value) > _TOPICS_MAX:
        raise ValueError(f"at most {_TOPICS_MAX} topics are read, not {len(value)}")
    return tuple(_source(topic, entry) for topic, entry in value.items())


def _source(topic: str, entry: Any) -> TopicSource:
    if not isinstance(entry, dict):
        raise ValueError(f"{topic}: must be an object, as in {_EXAMPLE}")
    try:
        return TopicSource.model_validate({**entry, "topic": topic})
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join([topic, *map(str, first['loc'])])}: {first['msg']}") from None


class Topics(BaseModel):
    """See argosy.config.Settings."""

    ingest_topics: Annotated[tuple[TopicSource, ...], BeforeValidator(_sources)] = Field(
        default=(),
        description="Kafka topics of others that are read into graphs: JSON, "
        '`{"TOPIC": {"tenant": "default", "graph": "…", "map": "module:function", "from": "earliest"}}`.',
    )
    ingest_mapping_s: Seconds = Field(
        default=5.0, description="A call of a mapping for some records that takes longer is logged; it goes on."
    )
    ingest_topic_held_size_bytes_max: int = Field(
        default=16_777_216,
        ge=1_048_576,
        le=1_073_741_824,
        description="Data of one topic of INGEST_TOPICS that was read and is not in the graph yet, in one worker.",
    )
