"""Shared by all tests: every transform is verified, and golden files can be rewritten."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tracejit import config
from tracejit.transformations import base

#: Each compiled function takes some mappings of memory, of which Linux allows a process 65,530; thousands of tests in
#: one worker come near that.
MANY_MAPPINGS = 20_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected part of golden files")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether to rewrite golden files instead of comparing with them."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(autouse=True)
def verified_transforms() -> Iterator[None]:
    """The verifier runs after every transform."""
    with config.override(verify=True):
        yield


@pytest.fixture(autouse=True, scope="module")
def few_mappings() -> Iterator[None]:
    """What a module of tests has compiled is freed where there is much of it."""
    yield
    mappings = Path("/proc/self/maps")
    if mappings.exists() and mappings.read_bytes().count(b"\n") > MANY_MAPPINGS:
        base._SCRIPTED.clear()
        gc.collect()
