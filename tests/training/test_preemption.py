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


def test_a_second_sigterm_changes_nothing():
    """A scheduler signals every process of a job, and a launcher among them its own once more."""
    with TerminationWatch() as watch:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            assert watch.requested


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
