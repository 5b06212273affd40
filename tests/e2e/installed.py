# SPDX-License-Identifier: Apache-2.0
"""The build tree installed below a temporary directory, with the prefix it was configured for."""

import os
import pathlib
import subprocess
import unittest

import peer

BUILD = peer.BIN.parent


def setting(name):
    """A value of the build's cache."""
    lines = (BUILD / "CMakeCache.txt").read_text().splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith(f"{name}:"))


PREFIX = pathlib.Path(setting("CMAKE_INSTALL_PREFIX"))
BIN = setting("CMAKE_INSTALL_BINDIR")


def install(root):
    """Installs below root, as a packager does with DESTDIR: the installation's prefix."""
    p = subprocess.run([setting("CMAKE_COMMAND"), "--install", str(BUILD)], capture_output=True, text=True,
                       env=dict(os.environ, DESTDIR=str(root)), timeout=peer.DEADLINE)
    if p.returncode != 0:
        raise unittest.TestCase.failureException(p.stderr)
    return pathlib.Path(str(root) + str(PREFIX))


def pkg_config(prefix):
    """What pkg-config is told of what install() has returned: an installation in /usr is one of another system."""
    env = {"PKG_CONFIG_PATH": str(next(prefix.rglob("viaduct.pc")).parent)}
    if PREFIX == pathlib.Path("/usr"):
        env["PKG_CONFIG_SYSROOT_DIR"] = str(prefix.parent)
    return env
