from tests.harness.fixtures import *  # noqa: F403
from tests.harness.sharded import *  # noqa: F403
