from tests.harness.fixtures import *  # noqa: F403
from tests.maintenance.forgetful import forgetful  # noqa: F401
from tests.store.conftest import *  # noqa: F403
from tests.store.newest_first import *  # noqa: F403
