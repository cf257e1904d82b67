"""What a process prints."""

from typing import Literal

from pydantic import BaseModel, Field

from argosy.config.kinds import LogLevel


class Output(BaseModel):
    """See argosy.config.Settings."""

    log_level: LogLevel = Field(default="info", description="Least severe log event that is printed.")
    log_format: Literal["console", "json"] = Field(default="console", description="How log events are printed.")
