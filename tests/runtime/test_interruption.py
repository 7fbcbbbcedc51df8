"""A request to stop: noted once, forwarded, and obeyed at once the second time."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from vidprism.runtime import interruption


@pytest.fixture(autouse=True)
def handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
    interruption.forget()


def test_a_request_is_noted_and_passed_on() -> None:
    told = []
    interruption.watch()
    with interruption.forwarded(lambda: told.append("stop")):
        assert not interruption.stop_requested()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.stop_requested() and told == ["stop"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "a second one ends the process"


def test_outside_the_main_thread_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=interruption.watch)
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_second_request_ends_the_process() -> None:
    program = (
        "import os, signal; from vidprism.runtime import interruption; interruption.watch();"
        "[os.kill(os.getpid(), signal.SIGTERM) for _ in range(2)]; print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == -signal.SIGTERM and not done.stdout
