"""The exported network in a C program that knows nothing of Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import tracejit as tj
from tracejit.demo.programs import HIDDEN, INPUTS, OUTPUTS, network, network_data
from tracejit.deploy.load import NativeLibrary

_MAIN = """\
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "model.h"

/* Runs the exported network on samples from a file and prints the sum of what it gives. */
int main(int argc, char **argv) {
    int64_t samples = argc > 1 ? atoll(argv[1]) : 1;
    FILE *file = fopen("model.bin", "rb");
    size_t counts[3] = {(size_t)samples * @INPUTS@, @INPUTS@ * @HIDDEN@, @HIDDEN@ * @OUTPUTS@};
    int64_t shapes[3][2] = {{samples, @INPUTS@}, {@INPUTS@, @HIDDEN@}, {@HIDDEN@, @OUTPUTS@}};
    tj_tensor inputs[MODEL_INPUTS], outputs[MODEL_OUTPUTS] = {{NULL}};
    for (int i = 0; i < MODEL_INPUTS; i++) {
        float *data = malloc(counts[i] * sizeof(float) + 1);
        if (file == NULL || fread(data, sizeof(float), counts[i], file) != counts[i]) return 2;
        inputs[i] = (tj_tensor){data, 2, shapes[i], NULL, TJ_FLOAT32};
    }
    if (model(inputs, outputs, NULL) != MODEL_OK) {
        fprintf(stderr, "%s\\n", model_message());
        return 1;
    }
    double sum = 0;
    for (int64_t i = 0; i < samples * @OUTPUTS@; i++) sum += fabs(((float *)outputs[0].data)[i]);
    printf("%lld samples, %.6e\\n", (long long)outputs[0].shape[0], sum);
    model_free(outputs[0].data);
    return 0;
}
"""


def export_network(folder: Path) -> Path:
    """Write `model.so` with everything beside it, and the C program that uses it; gives the library's path."""
    folder.mkdir(parents=True, exist_ok=True)
    x, _, w1, w2 = network_data()
    path = tj.export(network, [x, w1, w2], folder / "model.so")
    sizes = {"@INPUTS@": INPUTS, "@HIDDEN@": HIDDEN, "@OUTPUTS@": OUTPUTS}
    text = _MAIN
    for name, size in sizes.items():
        text = text.replace(name, str(size))
    (folder / "main.c").write_text(text)
    return path


def expected_line(samples: int) -> tuple[str, float]:
    """What the C program prints for so many samples, according to NumPy: the text before the sum, and the sum."""
    x, _, w1, w2 = network_data()
    y = np.maximum(x[:samples] @ w1, 0) @ w2
    return f"{samples} samples, ", float(np.abs(y.astype(np.float64)).sum())


def run_c_program(folder: Path, samples: int) -> str | None:
    """Compile the C program and run it with an empty environment; None where there is no C compiler."""
    if shutil.which("cc") is None:
        return None
    x, _, w1, w2 = network_data()
    (folder / "model.bin").write_bytes(x[:samples].tobytes() + w1.tobytes() + w2.tobytes())
    command = ["cc", "-O1", "-o", "main", "main.c", "model.so", "-Wl,-rpath,$ORIGIN", "-lm"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    done = subprocess.run(["./main", str(samples)], cwd=folder, env={}, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def run_through_ctypes(path: Path, samples: int) -> str:
    """The same computation with the library loaded into this process."""
    x, _, w1, w2 = network_data()
    y: Any = NativeLibrary(path)(x[:samples], w1, w2)
    return f"{samples} samples, {np.abs(y.astype(np.float64)).sum():.6e}"
