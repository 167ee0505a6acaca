"""What CI installs of the system before the tests: only what is missing, only where it may, never a reason to stop."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

STEP = Path(__file__).parents[2] / ".ci" / "system-packages"
BARE = ("bash", "mktemp", "rm", "tail", "timeout", "env")


class Machine:
    """A machine whose every command is one of ours."""

    def __init__(self, folder):
        self.bin, self.calls = folder / "bin", folder / "calls"
        self.bin.mkdir()
        for name in BARE:
            (self.bin / name).symlink_to(shutil.which(name))
        self.has("apt-cache", "[ $2 != valkey-server ]")
        self.has("id", "echo 0")

    def has(self, name, does="exit 0"):
        path = self.bin / name
        path.write_text(f'#!/usr/bin/env bash\necho "{name} $*" >> {self.calls}\n{does}\n')
        path.chmod(0o755)

    def offers(self):
        """An apt-get whose packages bring their commands."""
        brings = " ".join(f"{self.bin}/{name}" for name in ("chromium", "redis-server"))
        letters = f'printf "#!/usr/bin/env bash\\necho Noto" > {self.bin}/fc-list'
        self.has("apt-get", f'case "$*" in *download*) ;; install*) {letters}; touch {brings}; esac')
        (self.bin / "touch").symlink_to(shutil.which("touch"))
        (self.bin / "chmod").symlink_to(shutil.which("chmod"))
        text = (self.bin / "apt-get").read_text()
        (self.bin / "apt-get").write_text(f"{text}chmod +x {self.bin}/fc-list {brings} 2>/dev/null || true\n")

    def step(self):
        done = subprocess.run(  # noqa: S603 - our own script on stand-in commands
            [str(self.bin / "bash"), str(STEP)],
            env={"PATH": str(self.bin), "HOME": os.environ.get("HOME", "")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()

    def called(self, name):
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def machine(tmp_path):
    if shutil.which("timeout") is None:
        pytest.skip("no timeout on this machine, which the step for Debian uses")
    return Machine(tmp_path)


def test_what_is_missing_is_installed_once(machine):
    machine.offers()

    assert machine.step() == []
    (_, fetched, installed) = machine.called("apt-get")
    assert "--download-only" in fetched
    assert installed.split()[-4:] == ["chromium", "fontconfig", "fonts-noto-cjk", "redis-server"]
    assert machine.step() == []
    assert len(machine.called("apt-get")) == 3


def test_only_what_is_missing_is_asked_for(machine):
    machine.offers()
    machine.has("google-chrome")
    machine.has("valkey-server")

    assert machine.step() == []
    assert machine.called("apt-get")[-1].split()[-2:] == ["fontconfig", "fonts-noto-cjk"]


def test_who_is_not_root_is_told_what_is_missing(machine):
    machine.offers()
    machine.has("id", "echo 1000")
    machine.has("chromium")

    assert [line.partition(":")[0] for line in machine.step()] == [
        "No letters for Chinese",
        "No Redis or Valkey server",
    ]
    assert machine.called("apt-get") == []


def test_a_system_without_apt_is_told_too(machine):
    assert len(machine.step()) == 3
