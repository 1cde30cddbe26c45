"""Programs to export, from graphs as text."""

from __future__ import annotations

import tracejit.ops  # noqa: F401  (fills the registry)
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.lowering.entry import lower
from tracejit.ir.parser import parse

ROWS = """
graph @rows(%x: f32[n, m], %limit: f64) on cpu {
  %y = tanh(%x) : f32[n, m]
  %z = sum(%y) {axes = (1,)} : f32[n]
  %most = const() {value = 2.5, type = !f64} : f64
  %ok = lt(%limit, %most) : bool
  check(%ok, %limit, %most) {kind = "ValueError", message = "limit {0} is not below {1} {{}}"}
  yield %z, %limit
}
"""


def program(text: str) -> Program:
    """The loop program of a graph."""
    return lower(parse(text))
