# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""A process that is killed while it writes a folder, at any step, costs the next one nothing but time."""

import os
import subprocess
import sys

import pytest


KILLED_AT_EVERY_MOVE = """
import os, signal, sys
from pathlib import Path
from paumer_hf.data.dataset_folder import write_dataset_folder
from paumer_hf.data.official_releases import open_release

replace, work, archive = os.replace, Path(sys.argv[1]), sys.argv[2]

def run(output, moves, after):
    # Write the folder in a process that kills itself before or after its move of this number, -1 for none.
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    def move(*paths):
        nonlocal moves
        moves -= 1
        if moves == 0 and after:
            replace(*paths)
        if moves == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)
    os.replace = move
    with open_release("ade20k", [archive]) as release:
        write_dataset_folder(release, output, shard_bytes=2000, progress=False)
    os._exit(0)

def read(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

assert run(work / "once", -1, False) == 0
kills = 0
for after in (False, True):
    for moves in range(1, 100):
        place = work / f"{moves} {after}"
        status = run(place / "folder", moves, after)
        if status == 0:
            break
        assert status == signal.SIGKILL, status
        kills += 1
        assert run(place / "folder", -1, False) == 0
        assert [path.name for path in place.iterdir()] == ["folder"], list(place.iterdir())
        assert read(place / "folder") == read(work / "once"), place
shards = len(list((work / "once" / "data").iterdir()))
assert shards > 2
print(kills == 2 * (2 * shards + 5), kills)  # a shard and its record; four documents; the folder
"""


@pytest.mark.slow
def test_killed_before_or_after_any_move_the_next_run_ends_well(tmp_path, make_ade20k_release):
    (archive,) = make_ade20k_release(tmp_path / "release")
    command = [sys.executable, "-c", KILLED_AT_EVERY_MOVE, str(tmp_path / "work"), str(archive)]
    result = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("True"), result.stdout
