"""Puts the shared library into the wheel: the file $VIXP2P_LIBRARY names, or one that cargo builds from the project around."""

import os
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:
    from wheel.bdist_wheel import bdist_wheel


def library() -> Path:
    given = os.environ.get("VIXP2P_LIBRARY")
    if given:
        return Path(given).resolve(strict=True)
    project = Path(__file__).resolve().parents[2]
    if not (project / "Cargo.toml").exists():
        raise SystemExit("set VIXP2P_LIBRARY to libvixp2p.so, or build inside the project")
    target = Path(os.environ.get("CARGO_TARGET_DIR", project / "target"))
    # As CMakeLists.txt does, down to the file with the native libraries: one compilation serves both.
    command = ["cargo", "rustc", "--profile", "release", "--locked", "--lib", "--crate-type", "cdylib,staticlib", "--"]
    command += ["--print", f"native-static-libs={target}/vixp2p-native-libs.txt"]
    subprocess.run(command, cwd=project, env={**os.environ, "CARGO_TARGET_DIR": str(target)}, check=True)
    return target / "release" / "libvixp2p.so"


class BuildWithLibrary(build_py):
    def run(self):
        super().run()
        if not getattr(self, "editable_mode", False):
            shutil.copyfile(library(), Path(self.build_lib) / "vixp2p" / "libvixp2p.so")


class WheelForAnyPython(bdist_wheel):
    """The library is for one platform, the Python code for all versions."""

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class BinaryDistribution(Distribution):
    def has_ext_modules(self):
        return True


setup(distclass=BinaryDistribution, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": WheelForAnyPython})
