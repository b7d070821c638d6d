"""Finds the library as bindings/python/tests does. Without `cryptography` nothing here runs: skipped, with the reason, only where
scripts/setup could not reach a registry; an error otherwise."""

import importlib.util
import runpy
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MISSING = [name for name in ("cryptography", "kyber_py") if importlib.util.find_spec(name) is None]
NO_REGISTRY = PROJECT / ".venv" / "no-registry"

collect_ignore_glob = ["test_*.py"] if MISSING else []
runpy.run_path(str(PROJECT / "bindings/python/tests/conftest.py"))
sys.path.insert(0, str(Path(__file__).resolve().parent))


def pytest_sessionfinish(session):
    if MISSING:
        session.exitstatus = 0 if NO_REGISTRY.exists() else 1


def pytest_terminal_summary(terminalreporter):
    if MISSING and NO_REGISTRY.exists():
        terminalreporter.write_line(f"SKIPPED: {' and '.join(MISSING)} could not be installed, no package registry was reached")
    elif MISSING:
        terminalreporter.write_line(f"ERROR: {' and '.join(MISSING)} not installed: run scripts/setup")


@pytest.fixture(scope="session")
def nodes():
    """Nodes by name, each made when first asked for."""
    from fixtures import Nodes

    with Nodes() as nodes:
        yield nodes


@pytest.fixture
def dialer():
    """A node of the test's own: it would dial again and again what failed once."""
    from vixp2p import Node

    with Node("rust", listen=("127.0.0.1", 0)) as node:
        yield node
