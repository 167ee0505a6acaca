"""Retrains once, so that all is imported; then runs each command that it is told in a real process of its own.

A line of standard input is a JSON list: the file for what the command says, then its words. Answered by the number of
the process at once; and after a further line, before which the number stays its own, by how it ended.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import shepherd


def _child(said: str, words: list[str]) -> None:
    """Never comes back."""
    told = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(told, 1)
    os.dup2(told, 2)
    sys.argv = ["shepherd", *words]
    code = 1
    try:
        shepherd.main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception:  # noqa: BLE001 - as an interpreter of its own would tell it
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _tell(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main() -> None:
    shepherd.app(sys.argv[1:], standalone_mode=False)
    _tell("ready")
    while line := sys.stdin.readline():
        said, *words = json.loads(line)
        process = os.fork()
        if not process:
            _child(said, words)
        _tell(process)
        sys.stdin.readline()
        _, status = os.waitpid(process, 0)
        _tell(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
