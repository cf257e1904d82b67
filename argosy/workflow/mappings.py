"""Loads the mappings that INGEST_TOPICS names. That runs the user's code."""

from argosy.config import Settings
from argosy.config.topic_sources import TopicSource
from argosy.errors import SettingError
from argosy.workflow.mapping import Mapping, is_mapping
from argosy.workflow.named_function import load_function


def load_mapping(settings: Settings, source: TopicSource) -> Mapping:
    """Return the mapping of a topic. Raises SettingError, which says in one line what is wrong."""
    setting = f"INGEST_TOPICS, {source.topic}.map"
    function: Mapping = load_function(settings, source.mapping, setting, "shop.mapping:orders")
    if not is_mapping(function):
        raise SettingError(f"{setting}: {source.mapping} is no mapping, put @argosy.mapping above it")
    return function
