"""Shared by all tests: every transform is verified, golden files can be rewritten, derivatives looked at."""

from __future__ import annotations

import gc
import os
import zlib
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.programs import derivatives
from tracejit import config
from tracejit.codegen.llvm.baseline import is_as_good
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import Module, ModulePrinter, print_modules
from tracejit.codegen.loop_ir import Program
from tracejit.runtime import cpu

# Compiled code goes from one run of the tests to the next by a folder of theirs, beside the user's.
os.environ.setdefault("TRACEJIT_CACHE_DIR", str(config.get("cache_dir").with_name("tracejit-tests")))
# What tests call once is to be the code that users call often.
os.environ.setdefault("TRACEJIT_BASELINE", "0")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected part of golden files")
    parser.addoption("--every-derivative", action="store_true", help="look at the derivatives of all test programs")


def pytest_configure(config: pytest.Config) -> None:
    derivatives.every = bool(config.getoption("--every-derivative"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """No search for garbage among thousands of tests and the modules they are in, now or later, and seldom one among
    graphs of programs, which are still in use nearly always."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
        gc.set_threshold(1_000_000)


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


#: Tests of what programs mean: two in three of them, by name, compile loops of scalar code as first calls of users do.
#: LLVM's passes take longer for these loops than all else for such programs.
_MEANING = frozenset(("frontend", "gradients", "programs", "transforms", "wrong_gradients"))


@pytest.fixture(autouse=True)
def effort(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops of scalar code become baseline code in two tests of three, where that gives the same bits."""
    if request.path.parent.name in _MEANING and zlib.crc32(request.node.nodeid.encode()) % 3:
        monkeypatch.setattr(cpu, "print_modules", _without_passes)


def _without_passes(program: Program, options: LlvmOptions, begun: ModulePrinter | None = None) -> Iterator[Module]:
    for module in print_modules(program, options, begun):
        is_alike = module.effort == "full" and is_as_good(program, module.text)
        yield Module(module.text, "baseline") if is_alike else module


@pytest.fixture(autouse=True)
def verified_transforms() -> Iterator[None]:
    """The verifier runs after every transform."""
    with config.override(verify=True):
        yield
