"""`python -m tracejit`: demo, explain, export, bench, check, cache, doctor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tracejit import __version__
from tracejit.cli import commands
from tracejit.cli.targets import UsageError
from tracejit.errors import ExportError, NotDifferentiable, ScriptError

_ARGUMENTS = "example arguments: f32[64,1000], grad:f32[100], tensor:i64[5], 0.5, True"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status."""
    options = _parser().parse_args(argv)
    try:
        return _run(options)
    except (UsageError, ExportError, NotDifferentiable) as error:
        print(f"tracejit: {error}", file=sys.stderr)
    except ScriptError as error:
        print(_script_error(error), file=sys.stderr)
    except BrokenPipeError:
        return 0
    return 2


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "demo":
            from tracejit.demo.main import run

            return run(Path(options.out), options.steps)
        case "explain":
            commands.require_arguments(options.target, options.args)
            return commands.explain(options.target, options.args, options.stage)
        case "export":
            commands.require_arguments(options.target, options.args)
            return commands.export(
                options.target, options.args, options.output, options.name, options.machine, options.threads
            )
        case "bench":
            return commands.bench(options.target, options.args)
        case "check":
            commands.require_arguments(options.target, options.args)
            return commands.check(options.target, options.args)
        case "cache":
            from tracejit.cli.doctor import cache_command

            return cache_command(options.action)
        case _:
            from tracejit.cli.doctor import run as examine

            return examine()


def _script_error(error: ScriptError) -> str:
    """The error as Python shows a syntax error: file, line, caret, reason."""
    import traceback

    return "".join(traceback.format_exception_only(error)).rstrip()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tracejit", description="Compile Python functions and look at what becomes of them."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands_ = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands_.add_parser("demo", help="train a network three ways, look inside, export it")
    demo.add_argument("--out", default="build/demo", help="folder for what is exported (default: %(default)s)")
    demo.add_argument("--steps", type=int, default=500, help="training steps (default: %(default)s)")

    explain = _on_function(commands_, "explain", "show the kernels, copies and guards of a function")
    explain.add_argument("--stage", help="show one text: graph, frontend, after:fuse, llvm, asm, cuda")

    export = _on_function(commands_, "export", "write a function as native code with a C header")
    export.add_argument(
        "-o", "--output", required=True, help="path ending in .so, .o, .a, .cu, .ptx, .onnx, .wasm or .tj"
    )
    export.add_argument("--name", help="name of the C function (default: the file's)")
    export.add_argument(
        "--machine", "--target", dest="machine", help="another machine: aarch64-linux, x86_64-linux, or an LLVM triple"
    )

    export.add_argument("--threads", action="store_true", help="share large loops of native code among threads")

    bench = commands_.add_parser("bench", help="compare the times of a function as it is and compiled")
    bench.add_argument("target", nargs="?", metavar="FILE.py:FUNCTION", help="default: some programs of the demo")
    bench.add_argument("args", nargs="*", metavar="ARG", help=_ARGUMENTS)

    _on_function(commands_, "check", "compare eager, compiled, derivatives and finite differences")

    cache = commands_.add_parser("cache", help="the compiled code kept on disk")
    cache.add_argument("action", choices=("info", "clear"))
    commands_.add_parser("doctor", help="what this machine offers and what is missing")
    return parser


def _on_function(
    commands_: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_: str
) -> argparse.ArgumentParser:
    made = commands_.add_parser(name, help=help_)
    made.add_argument("target", metavar="FILE.py:FUNCTION")
    made.add_argument("args", nargs="*", metavar="ARG", help=_ARGUMENTS)
    return made


if __name__ == "__main__":
    sys.exit(main())
