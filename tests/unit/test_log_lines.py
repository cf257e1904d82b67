"""How log events are printed."""

import json
import subprocess
import sys

LIBRARIES = """
import logging
from argosy import log_lines, telemetry
log_lines.set_up_logging("info", "json"{more})
logging.getLogger("uvicorn.error").info("Started")
logging.getLogger("uvicorn.error").warning("a line of %s", "uvicorn")
logging.getLogger("asyncio").error("a task", exc_info=ValueError("why"))
telemetry.logger().info("ours", n=1)
logging.basicConfig(format="USER %(message)s")
logging.getLogger("shop").warning("of the user")
"""


def printed(more: str = "") -> list[str]:
    script = LIBRARIES.replace("{more}", more)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stderr.splitlines()


def test_what_libraries_log_has_the_form_of_our_own_events_and_user_code_logs_as_it_likes() -> None:
    *events, of_user = printed()

    shown = [json.loads(line) for line in events]
    assert [(each["event"], each["level"]) for each in shown] == [
        ("a line of uvicorn", "warning"),
        ("a task", "error"),
        ("ours", "info"),
    ]
    assert "ValueError: why" in shown[1]["exception"]
    assert of_user == "USER of the user"


def test_inside_somebodys_program_its_logging_stays_as_it_is() -> None:
    lines = printed(", is_own_process=False")

    assert lines[0] == "a line of uvicorn"
