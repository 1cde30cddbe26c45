/* The cases in C as an experienced author writes them by hand, gradients included.
   Built with -O3 -march=native -ffast-math -fopenmp; `c_programs.py` calls them. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void chain(int64_t n, const float *restrict x, const float *restrict w, const float *restrict b, float *restrict y) {
#pragma omp parallel for simd if (n > 20000)
    for (int64_t i = 0; i < n; i++) {
        float s = 1 / (1 + expf(-x[i]));
        y[i] = tanhf(x[i] * w[i] + b[i]) * s + expf(-x[i] * x[i]);
    }
}

/* Returns the sum of the chain; its derivatives with respect to x, w, b. */
double chain_gradient(int64_t n, const float *restrict x, const float *restrict w, const float *restrict b,
                      float *restrict dx, float *restrict dw, float *restrict db) {
    double sum = 0;
#pragma omp parallel for simd reduction(+ : sum) if (n > 20000)
    for (int64_t i = 0; i < n; i++) {
        float t = tanhf(x[i] * w[i] + b[i]), s = 1 / (1 + expf(-x[i])), e = expf(-x[i] * x[i]);
        float d = s * (1 - t * t);
        sum += t * s + e;
        dx[i] = d * w[i] + t * s * (1 - s) - 2 * x[i] * e;
        dw[i] = d * x[i];
        db[i] = d;
    }
    return sum;
}

void recurrence(int64_t n, const float *restrict a, const float *restrict b, float *restrict h) {
    float last = h[0] = b[0];
    for (int64_t i = 1; i < n; i++) h[i] = last = a[i] * last + b[i];
}

/* Sum of squares of h; derivatives with respect to a and b. */
double recurrence_gradient(int64_t n, const float *restrict a, const float *restrict b, float *restrict h,
                           float *restrict da, float *restrict db) {
    recurrence(n, a, b, h);
    double sum = 0;
    float g = 0;
    for (int64_t i = n - 1; i > 0; i--) {
        sum += h[i] * h[i];
        g += 2 * h[i];
        db[i] = g;
        da[i] = g * h[i - 1];
        g *= a[i];
    }
    db[0] = g + 2 * h[0];
    da[0] = 0;
    return sum + h[0] * h[0];
}

/* Sweeps over an n x n grid between two buffers; the result is in `u` after an even number of sweeps. */
static void sweep(int64_t n, const float *restrict u, float *restrict v) {
#pragma omp parallel for
    for (int64_t i = 1; i < n - 1; i++)
        for (int64_t j = 1; j < n - 1; j++)
            v[i * n + j] = 0.25f * (u[(i - 1) * n + j] + u[(i + 1) * n + j] + u[i * n + j - 1] + u[i * n + j + 1]);
}

void jacobi(int64_t n, int64_t sweeps, float *restrict u, float *restrict v) {
    memcpy(v, u, n * n * sizeof(float));
    for (int64_t k = 0; k < sweeps; k += 2) {
        sweep(n, u, v);
        sweep(n, v, u);
    }
}

/* The transpose of a sweep: what each place of `g` gives to its neighbours, and to itself on the edge. */
static void transposed(int64_t n, const float *restrict g, float *restrict d) {
#pragma omp parallel for
    for (int64_t i = 1; i < n - 1; i++)
        for (int64_t j = 1; j < n - 1; j++) {
            float sum = 0;
            if (i > 1) sum += g[(i - 1) * n + j];
            if (i < n - 2) sum += g[(i + 1) * n + j];
            if (j > 1) sum += g[i * n + j - 1];
            if (j < n - 2) sum += g[i * n + j + 1];
            d[i * n + j] = 0.25f * sum;
        }
    for (int64_t k = 1; k < n - 1; k++) {
        d[k] = g[k] + 0.25f * g[n + k];
        d[(n - 1) * n + k] = g[(n - 1) * n + k] + 0.25f * g[(n - 2) * n + k];
        d[k * n] = g[k * n] + 0.25f * g[k * n + 1];
        d[k * n + n - 1] = g[k * n + n - 1] + 0.25f * g[k * n + n - 2];
    }
    d[0] = g[0], d[n - 1] = g[n - 1], d[(n - 1) * n] = g[(n - 1) * n], d[n * n - 1] = g[n * n - 1];
}

/* Sum of squares after the sweeps; its derivative with respect to the first grid is left in `u`. */
double jacobi_gradient(int64_t n, int64_t sweeps, float *restrict u, float *restrict v) {
    jacobi(n, sweeps, u, v);
    double sum = 0;
    for (int64_t i = 0; i < n * n; i++) {
        sum += u[i] * u[i];
        u[i] *= 2;
    }
    for (int64_t k = 0; k < sweeps; k += 2) {
        transposed(n, u, v);
        transposed(n, v, u);
    }
    return sum;
}

void gauss_seidel(int64_t n, int64_t sweeps, double *u) {
    for (int64_t k = 0; k < sweeps; k++)
        for (int64_t i = 1; i < n - 1; i++)
            for (int64_t j = 1; j < n - 1; j++)
                u[i * n + j] = 0.25 * (u[(i - 1) * n + j] + u[(i + 1) * n + j] + u[i * n + j - 1] + u[i * n + j + 1]);
}

/* As `jacobi_gradient`: the sweeps run backwards, place by place. */
double gauss_seidel_gradient(int64_t n, int64_t sweeps, double *u) {
    gauss_seidel(n, sweeps, u);
    double sum = 0;
    for (int64_t i = 0; i < n * n; i++) {
        sum += u[i] * u[i];
        u[i] *= 2;
    }
    for (int64_t k = 0; k < sweeps; k++)
        for (int64_t i = n - 2; i > 0; i--)
            for (int64_t j = n - 2; j > 0; j--) {
                double g = 0.25 * u[i * n + j];
                u[i * n + j] = 0;
                u[(i - 1) * n + j] += g;
                u[(i + 1) * n + j] += g;
                u[i * n + j - 1] += g;
                u[i * n + j + 1] += g;
            }
    return sum;
}

void mandelbrot(int64_t width, int64_t height, int64_t limit, int64_t *out) {
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t j = 0; j < height; j++)
        for (int64_t i = 0; i < width; i++) {
            double cr = -2.0 + 3.0 * i / width, ci = -1.5 + 3.0 * j / height, zr = 0, zi = 0;
            int64_t k = 0;
            while (k < limit && zr * zr + zi * zi < 4.0) {
                double next = zr * zr - zi * zi + cr;
                zi = 2 * zr * zi + ci;
                zr = next;
                k++;
            }
            out[j * width + i] = k;
        }
}
