"""Exported code in C programs that know nothing of Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_graphs import ROWS, program

import tracejit as tj
from tracejit.deploy.artifact import write_program

pytestmark = [
    pytest.mark.cc,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) on this machine"),
]

MAIN = r"""
#include <stdio.h>
#include <stdlib.h>
#include "model.h"
#include "model.h" /* may be included twice */

int main(void) {
    float data[6] = {0.5f, -1.0f, 2.0f, 0.0f, 0.25f, 1.0f};
    double limit = 1.5;
    int64_t shape[2] = {2, 3};
    tj_tensor inputs[MODEL_INPUTS] = {{data, 2, shape, NULL, TJ_FLOAT32}, {&limit, 0, NULL, NULL, 0}};
    tj_tensor outputs[MODEL_OUTPUTS] = {{NULL}};
    void *arena = aligned_alloc(64, (model_arena_size(inputs) / 64 + 1) * 64);
    if (model(inputs, outputs, arena) != MODEL_OK) return 1;
    for (int64_t i = 0; i < outputs[0].shape[0]; i++) printf("%.7g\n", ((float *)outputs[0].data)[i]);
    printf("%.3g dtype %d\n", *(double *)outputs[1].data, outputs[1].dtype);
    model_free(outputs[0].data);
    model_free(outputs[1].data);
    model_free(NULL);
    free(arena);
    limit = 9.0;
    int status = model(inputs, outputs, NULL);
    printf("%d %s\n", status, model_message());
    return 0;
}
"""


#: Counts the large blocks that the library takes from the system.
COUNTED = r"""
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

static int taken;
void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    taken++;
    return __real_aligned_alloc(alignment, bytes);
}

int main(void) {
    int64_t shape[2] = {100000, 1};
    double limit = 1.5;
    float *data = calloc(shape[0], sizeof(float));
    tj_tensor inputs[MODEL_INPUTS] = {{data, 2, shape, NULL, TJ_FLOAT32}, {&limit, 0, NULL, NULL, 0}};
    for (int call = 0; call < 3; call++) {
        tj_tensor outputs[MODEL_OUTPUTS] = {{NULL}};
        if (model(inputs, outputs, NULL) != MODEL_OK) return 1;
        if (((float *)outputs[0].data)[shape[0] - 1] != 0) return 2;
        model_free(outputs[0].data);
        model_free(outputs[1].data);
        printf("%d\n", taken);
    }
    return 0;
}
"""


def run_main(folder: Path, *linked: str, source: str = MAIN) -> list[str]:
    (folder / "main.c").write_text(source)
    warnings = ["-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Werror"]
    subprocess.run(
        ["cc", "-std=c11", *warnings, "-o", "main", "main.c", *linked, "-lm"], cwd=folder, check=True, timeout=60
    )
    environment = {"PATH": "/nonexistent", "LD_LIBRARY_PATH": str(folder), "HOME": os.environ.get("HOME", "/")}
    command = [str(folder / "main")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


@pytest.mark.parametrize("suffix", [".so", ".o", ".a"])
def test_a_c_program_computes_the_same(tmp_path: Path, suffix: str) -> None:
    write_program(program(ROWS), tmp_path / f"model{suffix}")
    lines = run_main(tmp_path, f"model{suffix}")
    x = np.array([[0.5, -1.0, 2.0], [0.0, 0.25, 1.0]], "f4")
    np.testing.assert_allclose([float(line) for line in lines[:2]], np.tanh(x).sum(1), rtol=1e-6)
    assert lines[2] == "1.5 dtype 13"
    assert lines[3].startswith("1 ValueError: limit 9.0 is not below 2.5 {}")


def test_large_blocks_are_taken_from_the_system_once(tmp_path: Path) -> None:
    write_program(program(ROWS), tmp_path / "model.o")
    first, *later = run_main(tmp_path, "model.o", "-Wl,--wrap=aligned_alloc", source=COUNTED)
    assert int(first) > 0
    assert later == [first, first]


def rows(x: Any, k: float) -> Any:
    return (x * k).sum(axis=1)


def test_the_example_of_the_page(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    (tmp_path / "main.c").write_text(page.partition("```c\n")[2].partition("```")[0])
    tj.export(rows, [np.ones((2, 3), "f4"), 0.5], tmp_path / "model.so")
    strict = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-Wl,-rpath,."]
    command = ["cc", *strict, "-o", "main", "main.c", "./model.so", "-lm"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "3\n7.5\n"


def test_the_library_needs_the_c_library_only(tmp_path: Path) -> None:
    path = write_program(program(ROWS), tmp_path / "model.so")
    needed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, timeout=60, check=False).stdout
    names = [line.split()[0] for line in needed.splitlines() if "=>" in line]
    assert all(name.startswith(("libc.", "libm.")) for name in names)


def test_the_header_is_c_plus_plus_too(tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no C++ compiler (c++) on this machine")
    write_program(program(ROWS), tmp_path / "model.o")
    (tmp_path / "use.cpp").write_text('#include "model.h"\nint main() { return model_message()[0]; }\n')
    subprocess.run(["c++", "-Wall", "-Werror", "use.cpp", "model.o", "-lm"], cwd=tmp_path, check=True, timeout=60)
