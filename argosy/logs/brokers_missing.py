"""The error of a cluster that has fewer brokers than a topic is to have replicas."""

from argosy.errors import SettingError


class BrokersMissingError(SettingError):
    """There are too few brokers: for good, or because some of them are still to come."""
