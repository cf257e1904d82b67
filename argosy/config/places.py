"""Where things are."""

from pathlib import Path

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds, StringList
from argosy.config.sources import default_data_dir


class Places(BaseModel):
    """See argosy.config.Settings."""

    argosy_data_dir: Path = Field(
        default_factory=default_data_dir,
        description="Data of the embedded Postgres, the broker, the graphs and the shared secret.",
    )
    argosy_workflows: StringList = Field(
        default=(),
        description="Files or modules with the workflows that workers run, beside the ones that ship with Argosy.",
    )
    argosy_crash_at: str = Field(
        default="", description="Tests only: kill this process at a named point of the journey."
    )
    argosy_build: str = Field(
        default="", max_length=64, description="Name of the build that workers announce; empty: Argosy's version."
    )
    argosy_ready_s: Seconds = Field(
        default=60.0, description="How long `argosy up` and `argosy.Argosy` wait until what they start is ready."
    )
