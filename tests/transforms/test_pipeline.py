"""Running transforms by name: stages, logs, called graphs, errors; the cost stays linear."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracejit.ops  # noqa: F401
from tracejit import config
from tracejit.errors import VerifyError
from tracejit.ir.core import Block, Graph, walk
from tracejit.ir.interpreter import run as interpret
from tracejit.ir.parser import parse
from tracejit.transforms import pipeline
from tracejit.transforms.__main__ import main

DEAD = "graph @f(%x: f64) on cpu {\n  %y = exp(%x) : f64\n  yield %x\n}\n"
LEAN = "graph @f(%x: f64) on cpu {\n  yield %x\n}\n"


def test_stages_are_remembered_as_text() -> None:
    graph = parse(DEAD)
    stages = pipeline.Stages(graph)
    assert str(pipeline.run(graph, ["cse", "dce"], observer=stages)) == LEAN
    assert stages.text("frontend") == DEAD
    assert stages.text("after:cse") == DEAD
    assert stages.text("after:dce") == LEAN
    with pytest.raises(KeyError, match="there are frontend, after:cse, after:dce"):
        stages.text("after:fuse")


def test_the_log_prints_stages_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with config.override(log=frozenset({"after:dce"})):
        pipeline.run(parse(DEAD), ["cse", "dce"])
    assert capsys.readouterr().err == f"// @f after dce\n{LEAN}\n"


UNFOLDED = """graph @f(%x: f64) on cpu {
  %sin = sin(%x) : f64
  %one = const() {value = 1.0, type = !f64} : f64
  %y = mul(%sin, %one) : f64
  yield %y
}
"""


@pytest.mark.parametrize("name", ["canonicalize", "cse", "licm", "scalarize"])
def test_what_a_transform_leaves_as_it_is_stays_the_same_op(name: str) -> None:
    before = parse(UNFOLDED)
    after = pipeline.run(before, [name])
    assert after.body.ops[0] is before.body.ops[0]
    assert (after is before) == (name in ("cse", "licm"))
    again = pipeline.run(after, [name])
    assert all(new is old for new, old in zip(again.body.ops, after.body.ops, strict=True))


def test_an_unknown_transform_is_an_error() -> None:
    with pytest.raises(ValueError, match="there is no transform 'nothing'"):
        pipeline.run(parse(DEAD), ["nothing"])


def test_an_invalid_result_names_the_transform() -> None:
    def break_it(graph: Graph) -> Graph:
        return Graph(graph.name, Block((), graph.body.ops, graph.results))

    pipeline.transform("break-it")(break_it)
    with pytest.raises(VerifyError, match="invalid graph after break-it"):
        pipeline.run(parse(DEAD), ["split-totals", "break-it"])
    broken = break_it(parse(DEAD))
    with pytest.raises(VerifyError, match="invalid graph after split-totals"):
        pipeline.run(broken, ["split-totals", "dce"])  # what was given is looked at too, though nothing changes it
    with pytest.raises(ValueError, match="transform 'break-it' is defined twice"):
        pipeline.transform("break-it")(break_it)


def test_called_graphs_are_transformed_too_even_recursive_ones() -> None:
    graph = parse(
        """graph @main(%n: i64) on cpu {
          %p = eq(%n, %n) : bool
          %y = if(%p) : i64 { then(): %z = call(%n) {callee = @down} : i64 yield %z else(): yield %n }
          yield %y }
        graph @down(%n: i64) on cpu {
          %one = const() {value = 1, type = !i64} : i64
          %dead = mul(%n, %n) : i64
          %p = gt(%n, %one) : bool
          %y = if(%p) : i64 {
            then(): %m = sub(%n, %one) : i64
                    %z = call(%m) {callee = @down} : i64
                    yield %z
            else(): yield %n
          }
          yield %y }"""
    )
    simple = pipeline.run(graph, ["canonicalize", "dce"])
    assert (
        str(simple)
        == """\
graph @main(%n: i64) on cpu {
  %z = call(%n) {callee = @down} : i64
  yield %z
}

graph @down(%n: i64) on cpu {
  %one = const() {value = 1, type = !i64} : i64
  %p = gt(%n, %one) : bool
  %y = if(%p) : i64 {
    then():
      %m = sub(%n, %one) : i64
      %z = call(%m) {callee = @down} : i64
      yield %z
    else():
      yield %n
  }
  yield %y
}
"""
    )
    callee = simple.body.ops[0].attrs["callee"]
    assert [op.attrs["callee"] for op in walk(callee.body) if op.name == "call"] == [callee]
    assert interpret(simple, [5]) == interpret(graph, [5]) == [1]


def test_deep_chains_do_not_recurse() -> None:
    lines = [f"%v{i + 1} = neg(%v{i}) : f64" for i in range(5000)]
    graph = parse(f"graph @f(%v0: f64) on cpu {{ {' '.join(lines)} yield %v4999 }}")
    assert (
        str(pipeline.run(graph, pipeline.LEVEL1))
        == "graph @f(%v0: f64) on cpu {\n  %v1 = neg(%v0) : f64\n  yield %v1\n}\n"
    )


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.tj"
    file.write_text(f"// run: dce\n{DEAD}// expect:\nnot read")
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == LEAN
    assert main([str(file), "--run", "cse"]) == 0
    assert capsys.readouterr().out == DEAD
    file.write_text("graph @f() on cpu {")
    assert main([str(file)]) == 1
    assert "f.tj: line 1, column 20: expected an op or 'yield', found the end" in capsys.readouterr().err
