"""Run a command with another profile chosen in params.yaml, then restore that one line.

    python -m tools.with_profile smoke dvc repro

One line is changed and restored, so that other edits made meanwhile stay. SIGINT, SIGTERM and SIGHUP are forwarded to
the command and its child processes (they form a separate process group, which does not read from the terminal), and the
line is restored when the last of them has ended. Only `kill -9` leaves the other profile chosen.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

LINE = re.compile(r"^profile: \*(\w+)(?=\r?$)", re.MULTILINE)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SEC = 0.05


def chosen(text: str) -> str:
    """The profile that the text of params.yaml chooses.

    Raises:
        SystemExit: there is not exactly one line that chooses a profile.
    """
    found = LINE.findall(text)
    if len(found) != 1:
        raise SystemExit("params.yaml must have exactly one line like `profile: *mini`")
    return found[0]


def choose(text: str, profile: str) -> str:
    """The text of params.yaml with `profile` chosen.

    Raises:
        SystemExit: there is not exactly one line that chooses a profile, or no profile of this name.
    """
    chosen(text)
    if not re.search(rf"&{re.escape(profile)}\b", text):
        raise SystemExit(f"params.yaml defines no profile '{profile}'")
    return LINE.sub(f"profile: *{profile}", text)


def main(profile: str, *command: str) -> int:
    """Exit status of the command; 128 and the signal's number if it was stopped."""
    path = Path("params.yaml").resolve()
    group, received = [], []

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        for pid in group:
            with suppress(ProcessLookupError):
                os.killpg(pid, number)

    before = chosen(_read(path))
    handlers = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        write_whole(path, choose(_read(path), profile))
        status = 0 if received else _run(command, group, received)
    finally:
        _put_back(path, profile, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return 128 + received[0] if received else status


def _run(command: tuple[str, ...], group: list[int], received: list[int]) -> int:
    """Start the command as a process group, note its number in `group`, and wait for all of it."""
    try:
        process = subprocess.Popen(command, process_group=0)
    except OSError as error:
        raise SystemExit(f"{command[0]} cannot be started: {error.strerror}") from error
    group.append(process.pid)
    if received:  # the signal came while the command was starting
        with suppress(ProcessLookupError):
            os.killpg(process.pid, received[0])
    status = process.wait()
    while received and _alive(process.pid):
        time.sleep(POLL_SEC)
    return status if status >= 0 else 128 - status


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _put_back(path: Path, profile: str, before: str) -> None:
    """Restore the earlier profile in the current file, unless the line was changed meanwhile."""
    text = _read(path)
    if LINE.findall(text) == [profile]:
        write_whole(path, LINE.sub(f"profile: *{before}", text))
    else:
        print("params.yaml: the line that chooses the profile was edited meanwhile and stays as it is", file=sys.stderr)


def _read(path: Path) -> str:
    with path.open(encoding="utf-8", newline="") as file:  # keep line ends
        return file.read()


def write_whole(path: Path, text: str) -> None:
    """Replace the file in one step: no reader sees half of it, and a full disk leaves it unchanged."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
        shutil.copymode(path, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
