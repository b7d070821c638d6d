"""The examples tell the truth, and a wheel works without anything beside it."""

import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import PACKAGE

EXPECTED = {
    "hello": ["bob met alice, ", "alice met bob, "],
    "send": ['alice got "are you there?"', 'bob got "here"', 'alice got "to whom it may concern"'],
    "replicate": [*(f"bob applies {n}: entry {n}" for n in range(1, 6)), "alice knows that bob applied 5"],
}


def run(path, **environment):
    env = {**os.environ, **environment}
    return subprocess.run([sys.executable, path], env=env, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("story", EXPECTED)
def test_the_example_prints_what_it_should(story):
    result = run(PACKAGE / "examples" / f"{story}.py", PYTHONPATH=str(PACKAGE / "src"))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == len(EXPECTED[story])
    assert all(line.startswith(start) for line, start in zip(lines, EXPECTED[story])), result.stdout


def test_a_wheel_has_the_library_inside(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("build", "dist", "*.egg-info", "__pycache__", "tests"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "-w", tmp_path, source], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith("vixp2p-0.1.0-py3-none-linux_")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    assert (tmp_path / "installed" / "vixp2p" / "libvixp2p.so").exists()
    result = run(PACKAGE / "examples" / "send.py", PYTHONPATH=str(tmp_path / "installed"), VIXP2P_LIBRARY="")
    assert result.returncode == 0, result.stderr
