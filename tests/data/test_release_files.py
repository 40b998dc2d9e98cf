# Copyright 2026 The paumer_hf authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of archives and folders: what is listed and read, and every damage and trap that is refused."""

import copy
import multiprocessing
import stat
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from paumer_hf.data.release_files import FolderFiles, ReleaseError, ReleaseFile, ReleaseFiles, ZipFiles


RANDOM = np.random.default_rng(0)
CONTENTS = {f"tree/{number % 7}/{number}.bin": RANDOM.bytes(1000 + number) for number in range(60)}


def write_zip(path: Path, contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_zip(tmp_path / "release.zip", {"README": b"Text.", **CONTENTS})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"README": b"Text.", **CONTENTS}.items():
        (tmp_path / "release" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "release" / name).write_bytes(content)
    return tmp_path / "release"


@pytest.fixture(params=["archive", "folder"])
def files(request: pytest.FixtureRequest) -> ReleaseFiles:
    path = request.getfixturevalue(request.param)
    return ZipFiles(path) if request.param == "archive" else FolderFiles(path, ["tree", "nothing"])


def read_all(files: ReleaseFiles) -> bool:
    return all(files.read(name) == content for name, content in CONTENTS.items())


def read_often(files: ReleaseFiles, answers: multiprocessing.Queue) -> None:
    answers.put(all(read_all(files) for _ in range(20)))


def test_files_are_listed_and_read(files: ReleaseFiles) -> None:
    assert set(files.files) - {"README"} == set(CONTENTS)
    for name, content in CONTENTS.items():
        crc = zlib.crc32(content) if isinstance(files, ZipFiles) else None
        assert files.files[name] == ReleaseFile(len(content), crc)
    assert read_all(files)


def test_a_folder_lists_only_what_is_asked_for(folder: Path) -> None:
    assert set(FolderFiles(folder, ["tree/3", "tree/4"]).files) == {
        name for name in CONTENTS if name.startswith(("tree/3/", "tree/4/"))
    }


def test_reading_goes_on_after_closing(files: ReleaseFiles) -> None:
    files.close()
    files.close()
    assert read_all(files)


def test_copies_read_on_their_own(files: ReleaseFiles) -> None:
    read_all(files)
    # What a data loader sends to a process that it starts anew.
    other = copy.deepcopy(files)
    assert vars(other).get("_opened") is None
    files.close()
    assert read_all(other)
    assert other.files == files.files


def test_threads_read_side_by_side(files: ReleaseFiles) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read_all, [files] * 40))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot be forked here")
def test_forked_processes_do_not_disturb_each_other(files: ReleaseFiles) -> None:
    read_all(files)  # an open archive is what processes would share
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=read_often, args=(files, answers)) for _ in range(4)]
    for process in processes:
        process.start()
    assert all(read_all(files) for _ in range(20))
    assert [answers.get(timeout=60) for _ in processes] == [True] * 4
    for process in processes:
        process.join()
    assert read_all(files)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_an_archive_that_was_cut_off_is_refused(archive: Path, share: float) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ReleaseError, match=r"release\.zip is no complete zip archive .* get it again"):
        ZipFiles(archive)


def test_an_archive_without_its_beginning_is_refused(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[-3000:])
    with pytest.raises(ReleaseError, match=r"release\.zip"):
        read_all(ZipFiles(archive))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "release.zip", CONTENTS, method)
    name = list(CONTENTS)[30]
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo(name).header_offset + 30 + len(name)
    content = bytearray(path.read_bytes())
    content[start + 500] ^= 0xFF
    path.write_bytes(content)
    files = ZipFiles(path)
    with pytest.raises(ReleaseError, match=rf"release\.zip: '{name}' cannot be read .* damaged"):
        files.read(name)
    assert files.read("tree/3/10.bin") == CONTENTS["tree/3/10.bin"]


def test_every_place_of_damage_is_an_error_or_does_not_matter(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "small.zip", {"tree/a": b"content of a" * 9, "tree/b": b"content of b" * 9})
    content = path.read_bytes()
    expected = {"tree/a": b"content of a" * 9, "tree/b": b"content of b" * 9}
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            files = ZipFiles(path)
            for name in files.files:
                assert files.read(name) == expected.get(name, files.read(name))
        except ReleaseError:
            refused += 1
    assert refused > len(content) // 2


def test_a_method_that_is_not_known_is_refused(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        start = opened.start_dir
    content[start + 10] = 9  # Deflate64, which some systems write for large files
    archive.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"'README' cannot be read .* packed by a method"):
        ZipFiles(archive).read("README")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../up", "a/..", "C:/a", "c:a", "a\\b", "..\\up", "\\\\host\\a", "a\0b"]
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "release.zip"
    stand_in = "x" * len(name)
    write_zip(path, {"tree/a": b"", stand_in: b""})
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name.encode()))
    with pytest.raises(ReleaseError, match=r"release\.zip: the name .* leads out of the archive"):
        ZipFiles(path)


def test_names_that_only_look_alike_are_read(tmp_path: Path) -> None:
    contents = {"a..b/c..": b"1", "...": b"2", "tree/a:b": b"3", "München/ä": b"4"}
    files = ZipFiles(write_zip(tmp_path / "release.zip", contents))
    assert {name: files.read(name) for name in files.files} == contents


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "release.zip", {"tree/a": b"1"})
    with zipfile.ZipFile(tmp_path / "release.zip", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("tree/a", b"2")
    with pytest.raises(ReleaseError, match=r"release\.zip: two files have the name 'tree/a'"):
        ZipFiles(tmp_path / "release.zip")


def test_links_and_encrypted_files_of_archives_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("tree/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "release.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ReleaseError, match=r"'tree/link' is a link"):
        ZipFiles(tmp_path / "release.zip")

    path = write_zip(tmp_path / "secret.zip", {"tree/a": b"1"})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as opened:
        content[opened.start_dir + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match=r"secret\.zip: 'tree/a' is encrypted"):
        ZipFiles(path)


def test_folders_in_archives_are_no_files(tmp_path: Path) -> None:
    assert set(ZipFiles(write_zip(tmp_path / "release.zip", {"tree/": b"", "tree/a": b"1"})).files) == {"tree/a"}


def test_an_archive_that_is_replaced_is_noticed(archive: Path) -> None:
    files = ZipFiles(archive)
    files.close()
    write_zip(archive, {name: content[::-1] for name, content in CONTENTS.items() if name != "tree/0/0.bin"})
    with pytest.raises(ReleaseError, match=r"'tree/1/1.bin' is not what it was"):
        files.read("tree/1/1.bin")
    with pytest.raises(ReleaseError, match=r"'tree/0/0.bin' cannot be read"):
        files.read("tree/0/0.bin")
    archive.unlink()
    files.close()
    with pytest.raises(ReleaseError, match=r"release\.zip cannot be opened"):
        files.read("tree/1/1.bin")


def test_a_folder_that_changes_is_noticed(folder: Path) -> None:
    files = FolderFiles(folder, ["tree"])
    (folder / "tree/1/1.bin").write_bytes(b"short")
    with pytest.raises(ReleaseError, match=r"'tree/1/1.bin' has 5 bytes, but had 1001"):
        files.read("tree/1/1.bin")
    (folder / "tree/2/2.bin").unlink()
    with pytest.raises(ReleaseError, match=r"'tree/2/2.bin' cannot be read"):
        files.read("tree/2/2.bin")


def test_links_out_of_a_folder_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "tree/1/link").symlink_to(tmp_path / "secret")
    with pytest.raises(ReleaseError, match=rf"tree/1/link is a link to {tmp_path}/secret; only links to files"):
        FolderFiles(folder, ["tree"])
    (folder / "tree/1/link").unlink()
    for target in (folder, folder / "tree", folder / "tree/2"):
        (folder / "tree/1/link").symlink_to(target)
        with pytest.raises(ReleaseError, match=r"tree/1/link is a link to"):
            FolderFiles(folder, ["tree"])
        (folder / "tree/1/link").unlink()


def test_links_inside_a_folder_and_in_its_place_are_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "tree/1/link").symlink_to("../2/2.bin")
    (tmp_path / "arranged").mkdir()
    (tmp_path / "arranged" / "tree").symlink_to(folder / "tree")
    files = FolderFiles(tmp_path / "arranged", ["tree"])
    assert read_all(files)
    assert files.read("tree/1/link") == CONTENTS["tree/2/2.bin"]


def test_what_the_system_cannot_do_now_is_no_damage(files: ReleaseFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments, **options):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(zipfile.ZipFile, "read", fail)
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"):
        files.read("tree/1/1.bin")
