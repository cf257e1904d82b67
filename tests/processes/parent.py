"""A parent to be killed: python parent.py KIND FOLDER. Prints one JSON line when it is ready."""

import json
import sys
import threading
from pathlib import Path

import psutil

from argosy.local.broker import Broker
from argosy.local.child import Child
from argosy.local.postgres import EmbeddedPostgres
from argosy.process.parent import watch_parent

FOREVER = "import signal; print('up', flush=True); signal.pause()"
DEAF = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile 1: signal.pause()"


def say(**shown: object) -> None:
    shown["family"] = [process.pid for process in psutil.Process().children(recursive=True)]
    print(json.dumps(shown), flush=True)


def start_foreign(folder: Path, program: str) -> Child:
    log = folder / "child.log"
    child = Child.start_guarded("child", [sys.executable, "-c", program], grace_s=1, log_path=log)
    child.wait_until(lambda: "up" in log.read_text(), 30)
    return child


def main(kind: str, folder: Path) -> None:
    if kind == "postgres":
        postgres = EmbeddedPostgres(folder)
        postgres.start()
        say(dsn=postgres.dsn, server=postgres.pid, socket=str(postgres.socket_dir))
    elif kind == "broker":
        broker = Broker(folder, port=0)
        broker.start()
        say(bootstrap=broker.bootstrap_servers)
    elif kind in ("child", "deaf"):
        child = start_foreign(folder, FOREVER if kind == "child" else DEAF)
        say(guard=child.pid, program=child.program_pid)
    elif kind == "own":
        log = folder / "own.log"
        own = Child.start("own", [sys.executable, __file__, "watcher", str(folder)], log_path=log)
        own.wait_until(lambda: "{" in log.read_text(), 30)
        say(own=own.pid)
    elif kind == "watcher":  # argv: parent.py watcher FOLDER --parent-fd N
        watch_parent(int(sys.argv[4]), lambda: (folder / "told").touch(), grace_s=0.5)
        say()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
