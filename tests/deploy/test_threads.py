"""Exported libraries with a pool of threads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj

MAIN = r"""
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "model.h"

static int (*run)(const tj_tensor *, tj_tensor *, void *);
static float x[300 * 300], expected[300 * 300];

static int call(float *y) {
    int64_t shape[2] = {300, 300};
    tj_tensor inputs[2] = {{x, 2, shape, NULL, 0}, {x, 2, shape, NULL, 0}}, outputs[1] = {{y, 2, shape, NULL, 0}};
    return run(inputs, outputs, NULL);
}

static void *calls(void *unused) {
    float *y = malloc(sizeof x);
    for (int i = 0; i < 10; i++)
        if (call(y) || memcmp(y, expected, sizeof x)) return &x;
    free(y);
    return unused;
}

int main(void) {
    void *library = dlopen("./model.so", RTLD_NOW), *failed;
    void (*set_threads)(int32_t) = (void (*)(int32_t))dlsym(library, "model_set_threads");
    run = (int (*)(const tj_tensor *, tj_tensor *, void *))dlsym(library, "model");
    for (int i = 0; i < 300 * 300; i++) x[i] = (float)(i % 13) - 6;
    set_threads(1);
    int status = call(expected);
    set_threads(3);
    pthread_t callers[2];
    for (int i = 0; i < 2; i++) pthread_create(&callers[i], NULL, calls, NULL);
    for (int i = 0; i < 2; i++) pthread_join(callers[i], &failed), status |= failed != NULL;
    pid_t child = fork();
    if (child == 0) _exit(calls(NULL) != NULL);
    int ended = 1;
    waitpid(child, &ended, 0);
    set_threads(1 << 20); /* as many as there may be */
    status |= calls(NULL) != NULL;
    dlclose(library); /* its threads go on */
    nanosleep(&(struct timespec){0, 20000000}, NULL);
    printf("%d %d\n", status, ended);
    return 0;
}
"""


def products(x: Any, y: Any) -> Any:
    return np.tanh(x @ y)


@pytest.mark.cc
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (cc) on this machine")
def test_a_library_shares_its_loops_among_threads(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(300, 300)).astype("f4")
    shared = tj.load(tj.export(products, [x, x], tmp_path / "model.so", threads=True))
    alone = tj.load(tj.export(products, [x, x], tmp_path / "alone.so"))
    np.testing.assert_array_equal(shared(x, x), alone(x, x))
    for count in (0, 1, 3, -1):
        shared.set_threads(count)
        np.testing.assert_array_equal(shared(x, x), alone(x, x))
    with pytest.raises(TypeError, match="alone was exported without threads=True"):
        alone.set_threads(2)
    assert "alone_set_threads" not in (tmp_path / "alone.h").read_text()
    (tmp_path / "main.c").write_text(MAIN)
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", "main", "main.c", "-ldl", "-lpthread"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run(["./main"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "0 0\n"


def test_what_has_no_threads_refuses_them(tmp_path: Path) -> None:
    x = np.ones(2)
    with pytest.raises(tj.ExportError, match="have no threads"):
        tj.export(lambda x: x + 1, [x], tmp_path / "model.o", target="riscv64-unknown-linux-gnu", threads=True)
    with pytest.raises(tj.ExportError, match="no threads of its own"):
        tj.export(lambda x: x + 1, [x], tmp_path / "model.wasm", threads=True)
    tj.export(lambda x: x + 1, [x], tmp_path / "model.o", target="aarch64-linux", threads=True)
