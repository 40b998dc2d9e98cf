# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM is noted, not obeyed at once."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

from paumer_hf.training.preemption import TerminationWatch, obey_parent_only


def test_sigterm_is_noted_and_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    with TerminationWatch() as watch:
        assert not watch.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert watch.requested
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_sigterm_ends_the_process():
    program = (
        "import os, signal\n"
        "from paumer_hf.training.preemption import TerminationWatch, obey_parent_only\n"
        "with TerminationWatch():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here', flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('not here')\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert finished.returncode == -signal.SIGTERM
    assert finished.stdout == "still here\n"


def test_other_threads_watch_nothing():
    """Python lets the main thread alone set handlers; a training in another thread must run all the same."""
    seen = []

    def run():
        with TerminationWatch() as watch:
            seen.append(watch.requested)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]


def _work(queue):
    obey_parent_only()
    queue.put("ready")
    queue.get()
    queue.put("done")
    time.sleep(60)


def test_a_loader_process_obeys_its_parent_alone():
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_work, args=(queue,), daemon=True)
    worker.start()
    assert queue.get(timeout=20) == "ready"
    subprocess.run([sys.executable, "-c", f"import os; os.kill({worker.pid}, {int(signal.SIGTERM)})"], check=True)
    queue.put("go on")
    time.sleep(0.1)
    assert queue.get(timeout=20) in ("go on", "done")
    assert worker.is_alive()
    worker.terminate()
    worker.join(timeout=20)
    assert worker.exitcode == 0
