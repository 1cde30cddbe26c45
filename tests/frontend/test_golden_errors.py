"""The gallery of wrong programs: the whole message of each, as the user sees it.

`pytest --update-golden` rewrites the `.txt` files; the difference is to be read.
"""

from __future__ import annotations

import re
import runpy
import traceback
from pathlib import Path

import pytest

from tracejit.errors import ScriptError

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")  # Python 3.14 warns of jumps out of `finally`

GALLERY = sorted((Path(__file__).parent / "golden_errors").glob("*.py"))


def shown(path: Path) -> tuple[BaseException, str]:
    """Run a program; its exception and what the user reads of it."""
    with pytest.raises(Exception) as caught:
        runpy.run_path(str(path), run_name=path.stem)
    error = caught.value
    text = "".join(traceback.format_exception_only(error))
    frame = traceback.extract_tb(error.__traceback__)[-1]
    if not isinstance(error, SyntaxError) and frame.filename == str(path):
        text = f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n    {frame.line}\n{text}'
    return error, re.sub(r'(?<=")[^"\n]*/|/\S*/(?=\w+\.py)', "", text)


@pytest.mark.parametrize("path", GALLERY, ids=[p.stem for p in GALLERY])
def test_message(path: Path, update_golden: bool) -> None:
    error, text = shown(path)
    golden = path.with_suffix(".txt")
    if update_golden:
        golden.write_text(text)
    assert text == golden.read_text()
    assert text.count("\n") <= 12
    if isinstance(error, ScriptError) and error.span is not None:
        assert f'File "{path.name}", line ' in text
        assert re.search(r"^ *\^+$", text, re.MULTILINE)
    if isinstance(error, ScriptError):
        assert error.instead is not None
    elif path.stem.startswith("run_"):
        assert text.startswith(f'  File "{path.name}"')
