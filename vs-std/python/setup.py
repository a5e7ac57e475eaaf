"""Builds the C library, and puts it into the wheel, which does for each Python of its platform."""

import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution

TREE = Path(__file__).resolve().parents[2]
LIBRARY = "libvs.dylib" if sys.platform == "darwin" else "libvs.so"


class Build(build_py):
    def run(self) -> None:
        command = ["cargo", "build", "--release", "--locked", "-p", "vs-capi"]
        target = TREE / "target" / "wheel"
        subprocess.run([*command, "--target-dir", str(target)], cwd=TREE, check=True)
        super().run()
        shutil.copy2(target / "release" / LIBRARY, Path(self.build_lib) / "vs" / LIBRARY)


class Wheel(bdist_wheel):
    def get_tag(self) -> "tuple[str, str, str]":
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel}, distclass=WithLibrary)
