"""`python -m tracejit.transforms file.tj --run dce,cse` prints the file's graph after these transforms.

Without `--run`, those of the file's `// run:` line (golden tests have one) are run. `-` reads standard input.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import tracejit.ops  # registers the ops  # noqa: F401  # pyright: ignore[reportUnusedImport]
from tracejit.errors import ParseError, VerifyError
from tracejit.ir.parser import parse
from tracejit.ir.printer import print_graph
from tracejit.ir.verifier import verify
from tracejit.transforms import pipeline

_RUN_LINE = re.compile(r"^// run:(.*)$", re.MULTILINE)
_EXPECT_LINE = re.compile(r"^// expect:$", re.MULTILINE)


def names_of(text: str) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def split_golden(text: str) -> tuple[list[str], str, str]:
    """A golden file's transforms, the text up to its `// expect:` line, and the text after it."""
    run_line = _RUN_LINE.search(text)
    before, _, after = _EXPECT_LINE.sub("\0", text, count=1).partition("\0")
    return names_of(run_line.group(1)) if run_line else [], before, after.lstrip("\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tracejit.transforms", description="Transform a graph's text.")
    parser.add_argument("file", help="a .tj file, or - for standard input")
    parser.add_argument("--run", metavar="NAMES", help="transforms, with commas; default: the file's `// run:` line")
    parser.add_argument("--spans", action="store_true", help="show where each op comes from")
    options = parser.parse_args(arguments)
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    names, before, _ = split_golden(text)
    try:
        graph = parse(before, options.file)
        verify(graph)
        graph = pipeline.run(graph, names if options.run is None else names_of(options.run), verify=True)
    except (ParseError, VerifyError, ValueError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    print(print_graph(graph, spans=options.spans), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
