"""Shared by all tests: every transform is verified, and golden files can be rewritten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tracejit import config


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
