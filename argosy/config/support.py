"""What `argosy support-bundle` reads at the most."""

from pydantic import BaseModel, Field

from argosy.config.kinds import Seconds


class Support(BaseModel):
    """See argosy.config.Settings."""

    support_part_s: Seconds = Field(
        default=20.0, description="Longest time for one part of a support bundle; all parts are made at once."
    )
    support_part_size_bytes_max: int = Field(
        default=4_194_304, ge=1_024, le=268_435_456, description="Largest part of a support bundle, before compression."
    )
