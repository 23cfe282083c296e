"""What `init` makes, and who else on the machine can read it."""

from __future__ import annotations

import os
import stat

import pytest

from notifier.foundation import found


@pytest.mark.parametrize("is_there", [False, True], ids=["new", "an empty folder that exists"])
def test_i8_nobody_else_on_the_machine_can_look_into_a_campaign(tmp_path, is_there):
    folder = tmp_path / "campaign"
    before = os.umask(0o022)
    try:
        if is_there:
            folder.mkdir(mode=0o755)
        found(folder, sample=True, environment={})
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}
