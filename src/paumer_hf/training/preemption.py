# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""What to do when a machine is taken away: SIGTERM ends a training after the step that it is in, with a checkpoint."""

import multiprocessing
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


PREEMPTED_EXIT_CODE = 75
"""Exit status of a training that SIGTERM ended: EX_TEMPFAIL of sysexits.h, "try again later"."""


class TrainingPreempted(Exception):  # noqa: N818  it ends a training, but is no error
    """SIGTERM ended the training; its checkpoint is whole and `--resume` goes on from there."""

    def __init__(self, step: int | None = None) -> None:
        place = "in an evaluation" if step is None else f"after step {step}"
        super().__init__(f"SIGTERM ended the training {place}; go on with --resume.")


class TerminationWatch:
    """While this context is open, SIGTERM sets `requested` instead of ending the process.

    Further ones change nothing: a scheduler signals every process of a job, and a launcher among them signals its own
    once more. Python lets the main thread alone handle signals: in others nothing is watched.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: Any = None

    def __enter__(self) -> "TerminationWatch":
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._request)
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)


def obey_parent_only(worker_id: int = 0) -> None:
    """Let a loader process outlive a SIGTERM that does not come from the training process.

    Schedulers send it to all processes of a job. The training process needs its loader to finish the step, and ends
    it afterwards, by SIGTERM too. Who sent the signal can be told by waiting for it, not in a handler; a thread waits.
    """
    if not hasattr(signal, "sigwaitinfo"):  # there are no such signals
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while True:
        sender = signal.sigwaitinfo({signal.SIGTERM}).si_pid
        parent = multiprocessing.parent_process()  # os.getppid() may be a server that forks for the parent
        if sender == (os.getppid() if parent is None else parent.pid):
            os._exit(0)


__all__ = ["PREEMPTED_EXIT_CODE", "TerminationWatch", "TrainingPreempted", "obey_parent_only"]
