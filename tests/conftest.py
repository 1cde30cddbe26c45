"""Shared by all tests: every transform is verified, golden files can be rewritten, derivatives looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.programs import derivatives
from tracejit import config

# Compiled code goes from one run of the tests to the next by a folder of theirs, beside the user's.
os.environ.setdefault("TRACEJIT_CACHE_DIR", str(config.get("cache_dir").with_name("tracejit-tests")))
# What tests call once is to be the code that users call often.
os.environ.setdefault("TRACEJIT_BASELINE", "0")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected part of golden files")
    parser.addoption("--every-derivative", action="store_true", help="look at the derivatives of all test programs")


def pytest_configure(config: pytest.Config) -> None:
    derivatives.every = bool(config.getoption("--every-derivative"))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether to rewrite golden files instead of comparing with them."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def lowerings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The lowerings of functions from now on: lowering begins anew with what was found out."""
    from tracejit.frontend.function import Lowering

    found: list[Any] = []
    run = Lowering.run
    monkeypatch.setattr(Lowering, "run", lambda self, *args: found.append(self) or run(self, *args))
    return found


@pytest.fixture(autouse=True)
def verified_transforms() -> Iterator[None]:
    """The verifier runs after every transform."""
    with config.override(verify=True):
        yield
