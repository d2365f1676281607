from __future__ import annotations

from pathlib import Path

import pytest

from buildtool.mounts import silent_kind

TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:50 / /nowhere/home rw shared:2 - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /nowhere/home/scratch rw - xfs /dev/sdb1 rw
32 22 0:51 / /nowhere/shared\040folder rw - fuse.sshfs me@server: rw
34 22 0:53 / /nowhere/Köln rw - cifs //server/koeln rw
33 22 0:52 / /nowhere/homes rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/nowhere/home/ada/project", "nfs4"),
        ("/nowhere/home", "nfs4"),
        ("/nowhere/home/scratch/project", None),
        ("/nowhere/homes/ada", None),
        ("/nowhere/shared folder/project", "fuse.sshfs"),
        ("/nowhere/Köln/project", "cifs"),
        ("/nowhere", None),
    ],
)
def test_the_file_system_of_the_nearest_mount_counts(
    tmp_path: Path, directory: str, kind: str | None
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.lstrip())
    assert silent_kind(directory, str(table)) == kind


def test_without_a_table_nothing_is_known(tmp_path: Path) -> None:
    assert silent_kind("/", str(tmp_path / "none")) is None
