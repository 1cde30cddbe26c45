"""Programs as NumPy's users write them, against plain Python: images, sequences, graphs, matrices, particles."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

RNG = np.random.default_rng(7)


def uniform(*shape):
    return RNG.random(shape)


def life(g, steps):
    for _ in range(steps):
        n = sum(np.roll(np.roll(g, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
        g = ((n == 3) | ((g == 1) & (n == 2))).astype(np.int64)
    return g


def kmeans(X, C, iters):
    for it in range(iters):
        d = ((X[:, None, :] - C[None, :, :]) ** 2).sum(axis=2)
        lab = d.argmin(axis=1)
        for k in range(C.shape[0]):
            m = lab == k
            if m.any():
                C[k] = X[m].mean(axis=0)
    return C, lab


def power_iteration(A, v):
    A = A + A.T
    lam = 0.0
    for _ in range(20):
        w = A @ v
        v = w / np.linalg.norm(w)
        lam = v @ A @ v
    return lam, v


def cg(A, b):
    x = np.zeros_like(b)
    r = b - A.dot(x)
    p = r.copy()
    rs = r.dot(r)
    for i in range(len(b)):
        Ap = A.dot(p)
        alpha = rs / p.dot(Ap)
        x += alpha * p
        r -= alpha * Ap
        rsn = r.dot(r)
        if np.sqrt(rsn) < 1e-10:
            break
        p = r + (rsn / rs) * p
        rs = rsn
    return x


def thomas(a, b, c, d):
    n = len(d)
    cp = np.zeros(n)
    dp = np.zeros(n)
    cp[0] = c[0] / b[0]
    dp[0] = d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i - 1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i - 1]) / m
    x = np.empty(n)
    x[n - 1] = dp[n - 1]
    for i in reversed(range(n - 1)):
        x[i] = dp[i] - cp[i] * x[i + 1]
    return x


def deriv(t, y):
    return np.array([y[1], -y[0] + 0.1 * t])


def rk4(y, t0, t1, n):
    h = (t1 - t0) / n
    out = np.empty((n + 1, y.size))
    out[0] = y
    t = t0
    for i in range(n):
        k1 = deriv(t, y)
        k2 = deriv(t + h / 2, y + h / 2 * k1)
        k3 = deriv(t + h / 2, y + h / 2 * k2)
        k4 = deriv(t + h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        t += h
        out[i + 1] = y
    return out


def murmur_mix(h):
    h = h.copy()
    h ^= h >> 16
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> 13
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> 16
    return h


def xorshift(s, n):
    out = np.empty(n, dtype=np.uint64)
    for i in range(n):
        s ^= s << np.uint64(13)
        s ^= s >> np.uint64(7)
        s ^= s << np.uint64(17)
        out[i] = s
    return out


def bubble(a):
    n = len(a)
    for i in range(n):
        swapped = False
        for j in range(0, n - i - 1):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]
                swapped = True
        if not swapped:
            break
    return a


def insertion(a):
    for i in range(1, len(a)):
        key = a[i]
        j = i - 1
        while j >= 0 and a[j] > key:
            a[j + 1] = a[j]
            j -= 1
        a[j + 1] = key


def quick_iter(a):
    stack = np.zeros(64, dtype=np.int64)
    top = 1
    stack[0], stack[1] = 0, len(a) - 1
    while top >= 0:
        hi = stack[top]
        lo = stack[top - 1]
        top -= 2
        p = a[hi]
        i = lo - 1
        for j in range(lo, hi):
            if a[j] <= p:
                i += 1
                a[i], a[j] = a[j], a[i]
        a[i + 1], a[hi] = a[hi], a[i + 1]
        q = i + 1
        if q - 1 > lo:
            stack[top + 1] = lo
            stack[top + 2] = q - 1
            top += 2
        if q + 1 < hi:
            stack[top + 1] = q + 1
            stack[top + 2] = hi
            top += 2
    return a


def bfs(adj, s):
    n = adj.shape[0]
    dist = -np.ones(n, dtype=np.int64)
    queue = np.zeros(n, dtype=np.int64)
    head = tail = 0
    dist[s] = 0
    queue[tail] = s
    tail += 1
    while head < tail:
        u = queue[head]
        head += 1
        for v in np.nonzero(adj[u])[0]:
            if dist[v] < 0:
                dist[v] = dist[u] + 1
                queue[tail] = v
                tail += 1
    return dist


def dijkstra(w, src):
    n = len(w)
    dist = np.full(n, np.inf)
    done = np.zeros(n, dtype=bool)
    dist[src] = 0
    for _ in range(n):
        u = np.argmin(np.where(done, np.inf, dist))
        done[u] = True
        dist = np.minimum(dist, dist[u] + w[u])
    return dist


def pagerank(M, d, it):
    N = M.shape[1]
    M = M / M.sum(axis=0)
    v = np.ones(N) / N
    Mh = d * M + (1 - d) / N
    for i in range(it):
        v = Mh @ v
    return v


def logreg(X, y, n, lr):
    w = np.zeros(X.shape[1])
    b = 0.0
    losses = []
    for i in range(n):
        z = X @ w + b
        p = 1 / (1 + np.exp(-z))
        losses.append(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))
        g = p - y
        w -= lr * X.T @ g / len(y)
        b -= lr * g.mean()
    return w, b, np.array(losses)


def kalman(zs, x, P, Q, Rm):
    F = np.array([[1.0, 0.1], [0.0, 1.0]])
    H = np.eye(2)
    out = np.zeros_like(zs)
    for k, z in enumerate(zs):
        x = F @ x
        P = F @ P @ F.T + Q
        S = H @ P @ H.T + Rm
        K = P @ H.T @ np.linalg.inv(S)
        x = x + K @ (z - H @ x)
        P = (np.eye(2) - K @ H) @ P
        out[k] = x
    return out, P


def viterbi(obs, pi, A, B):
    n = len(obs)
    S = len(pi)
    d = np.zeros((n, S))
    bp = np.zeros((n, S), dtype=int)
    d[0] = np.log(pi) + np.log(B[:, obs[0]])
    for t in range(1, n):
        sc = d[t - 1][:, None] + np.log(A)
        bp[t] = np.argmax(sc, axis=0)
        d[t] = np.max(sc, axis=0) + np.log(B[:, obs[t]])
    path = np.zeros(n, dtype=int)
    path[-1] = d[-1].argmax()
    for t in range(n - 2, -1, -1):
        path[t] = bp[t + 1, path[t + 1]]
    return path, d[-1].max()


def needleman(a, b):
    n, m = len(a), len(b)
    H = np.zeros((n + 1, m + 1))
    H[:, 0] = -np.arange(n + 1)
    H[0, :] = -np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            s = 1 if a[i - 1] == b[j - 1] else -1
            H[i, j] = max(H[i - 1, j - 1] + s, H[i - 1, j] - 1, H[i, j - 1] - 1)
    return H[n, m], H


def pairwise(X, Y):
    return np.sqrt(np.sum((X[:, np.newaxis] - Y) ** 2, axis=-1)), np.sqrt(
        (X**2).sum(1)[:, None] + (Y**2).sum(1)[None] - 2 * X.dot(Y.T)
    )


def polygon_area(p):
    x, y = p[:, 0], p[:, 1]
    return 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))


def resize(img, H, W):
    h, w = img.shape
    ys = np.linspace(0, h - 1, H)
    xs = np.linspace(0, w - 1, W)
    y0 = np.floor(ys).astype(int)
    x0 = np.floor(xs).astype(int)
    y1 = np.minimum(y0 + 1, h - 1)
    x1 = np.minimum(x0 + 1, w - 1)
    fy = (ys - y0)[:, None]
    fx = (xs - x0)[None, :]
    return (
        img[y0][:, x0] * (1 - fy) * (1 - fx)
        + img[y0][:, x1] * (1 - fy) * fx
        + img[y1][:, x0] * fy * (1 - fx)
        + img[np.ix_(y1, x1)] * fy * fx
    )


def equalize(img):
    hist, bins = np.histogram(img.flatten(), 256, (0, 256))
    cdf = hist.cumsum()
    cdf = 255 * cdf / cdf[-1]
    return np.interp(img.flatten(), bins[:-1], cdf).reshape(img.shape)


def dither(img):
    h, w = img.shape
    out = img.copy()
    for y in range(h - 1):
        for x in range(1, w - 1):
            old = out[y, x]
            new = 255.0 if old > 127 else 0.0
            out[y, x] = new
            e = old - new
            out[y, x + 1] += e * 7 / 16
            out[y + 1, x - 1] += e * 3 / 16
            out[y + 1, x] += e * 5 / 16
            out[y + 1, x + 1] += e * 1 / 16
    return out


def sobel(img, k):
    kh, kw = k.shape
    out = np.zeros((img.shape[0] - kh + 1, img.shape[1] - kw + 1))
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = np.sum(img[i : i + kh, j : j + kw] * k[::-1, ::-1])
    gx = np.pad(out, ((1, 1), (1, 1)), mode="edge")
    return gx, np.hypot(gx, gx.T), np.rad2deg(np.arctan2(gx, gx.T))


def julia(lo, hi, n, it):
    x = np.linspace(lo, hi, n)
    z = x[:, None] + 1j * x[None, :]
    c = -0.7 + 0.27j
    k = np.zeros(z.shape, dtype=np.int32)
    alive = np.ones(z.shape, dtype=bool)
    for i in range(it):
        z[alive] = z[alive] ** 2 + c
        alive &= np.abs(z) < 2
        k += alive
    return k, z


def newton_fractal(n):
    x = np.linspace(-2, 2, n)
    z = x + 1j * x[:, np.newaxis] + 1e-3
    for _ in range(8):
        z = z - (z**3 - 1) / (3 * z**2)
    return np.round(z.real, 6), np.round(np.angle(z), 6)


def rle(x):
    where = np.flatnonzero(np.diff(x)) + 1
    starts = np.concatenate(([0], where))
    lengths = np.diff(np.append(starts, len(x)))
    return x[starts], lengths


def lattice_boltzmann(nx, ny, nt):
    w = np.array([4 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 36, 1 / 36, 1 / 36, 1 / 36])
    cx = np.array([0, 1, 0, -1, 0, 1, -1, -1, 1])
    cy = np.array([0, 0, 1, 0, -1, 1, 1, -1, -1])
    f = np.ones((9, nx, ny)) * w[:, None, None]
    f[1] += 0.01 * np.arange(ny)
    for t in range(nt):
        for i in range(9):
            f[i] = np.roll(np.roll(f[i], cx[i], axis=0), cy[i], axis=1)
        rho = f.sum(axis=0)
        ux = np.tensordot(cx, f, axes=1) / rho
        uy = np.einsum("i,ixy->xy", cy, f) / rho
        for i in range(9):
            cu = 3 * (cx[i] * ux + cy[i] * uy)
            feq = rho * w[i] * (1 + cu + 0.5 * cu**2 - 1.5 * (ux**2 + uy**2))
            f[i] += -0.6 * (f[i] - feq)
    return f, rho


def verlet(pos, vel, m, dt, n):
    N = pos.shape[0]

    def acc(pos):
        a = np.zeros_like(pos)
        for i in range(N):
            for j in range(N):
                if i != j:
                    d = pos[j] - pos[i]
                    a[i] += m[j] * d / (np.dot(d, d) + 1e-2) ** 1.5
        return a

    a = acc(pos)
    for _ in range(n):
        pos += vel * dt + 0.5 * a * dt * dt
        an = acc(pos)
        vel += 0.5 * (a + an) * dt
        a = an
    return pos, vel


def knapsack(wt, val, W):
    n = len(val)
    K = np.zeros((n + 1, W + 1), dtype=np.int64)
    for i in range(1, n + 1):
        for w in range(W + 1):
            K[i, w] = K[i - 1, w]
            if wt[i - 1] <= w:
                K[i, w] = max(K[i, w], val[i - 1] + K[i - 1, w - wt[i - 1]])
    return K[n][W]


def matrix_chain(p):
    n = len(p) - 1
    m = np.zeros((n, n))
    s = np.zeros((n, n), dtype=np.int32)
    for l in range(2, n + 1):
        for i in range(n - l + 1):
            j = i + l - 1
            m[i, j] = np.inf
            for k in range(i, j):
                q = m[i, k] + m[k + 1, j] + p[i] * p[k + 1] * p[j + 1]
                if q < m[i, j]:
                    m[i, j] = q
                    s[i, j] = k
    return m, s


def fft_iter(x):
    n = x.shape[0]
    bits = int(np.log2(n))
    rev = np.zeros(n, dtype=np.int64)
    for i in range(n):
        k = 0
        for b in range(bits):
            if i & (1 << b):
                k |= 1 << (bits - 1 - b)
        rev[i] = k
    y = x[rev]
    size = 2
    while size <= n:
        half = size // 2
        tw = np.exp(-2j * np.pi * np.arange(half) / size)
        for s in range(0, n, size):
            e = y[s : s + half].copy()
            o = y[s + half : s + size] * tw
            y[s : s + half] = e + o
            y[s + half : s + size] = e - o
        size *= 2
    return y


def lu_pivot(A):
    A = A.copy()
    n = len(A)
    P = np.arange(n)
    for k in range(n - 1):
        p = k + np.argmax(np.abs(A[k:, k]))
        if p != k:
            A[[k, p]] = A[[p, k]]
            P[[k, p]] = P[[p, k]]
        A[k + 1 :, k] /= A[k, k]
        A[k + 1 :, k + 1 :] -= np.outer(A[k + 1 :, k], A[k, k + 1 :])
    return A, P, np.tril(A, -1) + np.eye(n), np.triu(A)


def householder(A):
    m, n = A.shape
    Q = np.eye(m)
    Rm = A.copy()
    for k in range(n):
        x = Rm[k:, k]
        e = np.zeros_like(x)
        e[0] = np.copysign(np.linalg.norm(x), x[0])
        v = x + e
        v = v / np.linalg.norm(v)
        Rm[k:, :] -= 2 * np.outer(v, v @ Rm[k:, :])
        Q[:, k:] -= 2 * np.outer(Q[:, k:] @ v, v)
    return Q, Rm


def jacobi_eig(A):
    A = A.copy()
    n = A.shape[0]
    V = np.eye(n)
    for sweep in range(6):
        for p in range(n - 1):
            for q in range(p + 1, n):
                if abs(A[p, q]) > 1e-12:
                    th = (A[q, q] - A[p, p]) / (2 * A[p, q])
                    t = np.sign(th) / (abs(th) + np.sqrt(th * th + 1)) if th != 0 else 1.0
                    c = 1 / np.sqrt(t * t + 1)
                    s = t * c
                    J = np.eye(n)
                    J[p, p] = J[q, q] = c
                    J[p, q] = s
                    J[q, p] = -s
                    A = J.T @ A @ J
                    V = V @ J
    return np.sort(np.diag(A))


def binned_stat(x, v, nb):
    edges = np.linspace(x.min(), x.max(), nb + 1)
    idx = np.clip(np.digitize(x, edges) - 1, 0, nb - 1)
    s = np.bincount(idx, weights=v, minlength=nb)
    c = np.bincount(idx, minlength=nb)
    m = np.zeros(nb)
    np.divide(s, c, out=m, where=c > 0)
    return m, c


def random_walk(steps):
    pos = np.cumsum(steps, axis=1)
    return (
        pos.max(axis=1),
        np.argmax(np.abs(pos) > 1.0, axis=1),
        (np.sign(pos[:, 1:]) != np.sign(pos[:, :-1])).sum(axis=1),
    )


def standardize(X):
    mu, sd = X.mean(axis=0), X.std(axis=0, ddof=1)
    Z = (X - mu) / sd
    C = Z.T @ Z / (len(X) - 1)
    return Z, C, np.corrcoef(X, rowvar=False) - C


def f32mix(A, B, s):
    C = s * A @ B + A.T
    C /= C.sum(axis=1, keepdims=True)
    D = np.where(C > 0.25, C, 0).astype(np.float32)
    D[D == 0] = np.float32(0.5)
    return C, D, D.mean(), np.float32(2) * D.max(), C.dtype == np.float32


def clamp(v, lo, hi):
    return max(lo, min(v, hi))


def median_filter(img, rad):
    h, w = img.shape
    out = np.empty_like(img)
    for i in range(h):
        for j in range(w):
            win = img[max(0, i - rad) : min(h, i + rad + 1), max(0, j - rad) : min(w, j + rad + 1)]
            out[i, j] = np.median(win)
    return out


def perona(img, k, n):
    u = img.astype(np.float64)
    for _ in range(n):
        p = np.pad(u, 1, mode="edge")
        d = [p[:-2, 1:-1] - u, p[2:, 1:-1] - u, p[1:-1, 2:] - u, p[1:-1, :-2] - u]
        u = u + 0.2 * sum(np.exp(-((x / k) ** 2)) * x for x in d)
    return u


def schrodinger(n, dt, steps):
    x = np.linspace(-5, 5, n)
    dx = x[1] - x[0]
    psi = np.exp(-((x + 1) ** 2)) * np.exp(2j * x)
    psi /= np.sqrt(np.sum(np.abs(psi) ** 2) * dx)
    V = 0.5 * x**2
    for _ in range(steps):
        lap = np.zeros_like(psi)
        lap[1:-1] = (psi[2:] - 2 * psi[1:-1] + psi[:-2]) / dx**2
        psi = psi - 1j * dt * 0.001 * (-0.5 * lap + V * psi)
    return np.abs(psi) ** 2, (psi.conj() * x * psi).sum().real * dx


def conv_pool(x):
    y = x.reshape(6, 2, 6, 2)
    return y.max(axis=(1, 3)), y.mean(axis=3).mean(axis=1), x[::2, ::2] + x[1::2, 1::2]


CASES = [
    (
        life,
        (
            (RNG.random((8, 9)) > 0.6).astype(np.int64),
            3,
        ),
    ),
    (
        kmeans,
        (
            uniform(20, 3),
            uniform(4, 3),
            5,
        ),
    ),
    (
        power_iteration,
        (
            uniform(10, 10),
            uniform(10),
        ),
    ),
    (
        cg,
        (
            (lambda a: a @ a.T + 5 * np.eye(6))(uniform(6, 6)),
            uniform(6),
        ),
    ),
    (
        thomas,
        (
            uniform(7),
            uniform(7) + 3,
            uniform(7),
            uniform(7),
        ),
    ),
    (
        rk4,
        (
            uniform(2),
            0.0,
            1.0,
            10,
        ),
    ),
    (murmur_mix, (RNG.integers(0, 2**32, 16, dtype=np.uint32),)),
    (
        xorshift,
        (
            np.uint64(12345),
            8,
        ),
    ),
    (bubble, (RNG.integers(0, 100, 12),)),
    (insertion, (RNG.integers(0, 100, 12),)),
    (quick_iter, (RNG.integers(0, 30, 20),)),
    (
        bfs,
        (
            (RNG.random((8, 8)) < 0.3).astype(np.int8),
            0,
        ),
    ),
    (
        dijkstra,
        (
            uniform(7, 7) * 9,
            2,
        ),
    ),
    (
        pagerank,
        (
            uniform(6, 6),
            0.85,
            20,
        ),
    ),
    (
        logreg,
        (
            uniform(30, 4),
            (RNG.random(30) > 0.5).astype(float),
            20,
            0.1,
        ),
    ),
    (
        kalman,
        (
            uniform(12, 2),
            uniform(2),
            np.eye(2),
            np.eye(2) * 0.1,
            np.eye(2) * 0.2,
        ),
    ),
    (
        viterbi,
        (
            RNG.integers(0, 3, 9),
            uniform(4),
            uniform(4, 4),
            uniform(4, 3),
        ),
    ),
    (
        needleman,
        (
            RNG.integers(0, 4, 9),
            RNG.integers(0, 4, 7),
        ),
    ),
    (
        pairwise,
        (
            uniform(6, 2),
            uniform(5, 2),
        ),
    ),
    (polygon_area, (uniform(10, 2),)),
    (
        resize,
        (
            uniform(9, 9),
            12,
            14,
        ),
    ),
    (equalize, (RNG.integers(0, 256, (8, 9)).astype(np.uint8),)),
    (dither, (RNG.integers(0, 256, (8, 9)).astype(np.float64),)),
    (
        sobel,
        (
            uniform(9, 9),
            np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]),
        ),
    ),
    (
        julia,
        (
            -1.5,
            1.5,
            12,
            9,
        ),
    ),
    (newton_fractal, (10,)),
    (rle, (RNG.integers(0, 3, 25),)),
    (
        lattice_boltzmann,
        (
            5,
            5,
            6,
        ),
    ),
    (
        verlet,
        (
            uniform(6, 3),
            uniform(6, 3) * 0.1,
            uniform(6),
            0.01,
            5,
        ),
    ),
    (
        knapsack,
        (
            np.array([3, 4, 5, 6]),
            np.array([30, 50, 60, 70]),
            12,
        ),
    ),
    (matrix_chain, (np.array([30, 35, 15, 5, 10, 20]),)),
    (fft_iter, (uniform(16) + 0j,)),
    (lu_pivot, (uniform(5, 5) + 5 * np.eye(5),)),
    (householder, (uniform(6, 4),)),
    (jacobi_eig, ((lambda a: a + a.T)(uniform(4, 4)),)),
    (
        binned_stat,
        (
            uniform(100),
            uniform(100),
            10,
        ),
    ),
    (random_walk, (RNG.standard_normal((5, 30)),)),
    (standardize, (uniform(6, 5),)),
    (
        f32mix,
        (
            uniform(4, 4).astype(np.float32),
            uniform(4, 4).astype(np.float32),
            np.float32(1.5),
        ),
    ),
    (
        median_filter,
        (
            uniform(7, 7),
            2,
        ),
    ),
    (
        perona,
        (
            uniform(8, 8),
            0.1,
            5,
        ),
    ),
    (
        schrodinger,
        (
            64,
            0.01,
            10,
        ),
    ),
    (conv_pool, (uniform(12, 12),)),
]


@pytest.mark.parametrize(("fn", "arguments"), CASES, ids=[fn.__name__ for fn, _ in CASES])
def test_program(fn, arguments):
    check(fn, *arguments, tolerance=1e-5 if fn is f32mix else 1e-9)


# -- idioms: what people do with storage, shapes and outputs ----------------------------------------------------


def escape_with_shrinking_arrays(nx, ny, limit):
    """Points that escaped leave the arrays; places are kept by two index arrays made one-dimensional in place."""
    rows, cols = np.mgrid[0:nx, 0:ny]
    c = np.linspace(-2.0, 0.5, nx)[rows] + 1j * np.linspace(-1.0, 1.0, ny)[cols]
    count = np.zeros(c.shape, dtype=np.int64)
    rows.shape = cols.shape = c.shape = nx * ny
    z = np.copy(c)
    for k in range(limit):
        if not len(z):
            break
        gone = np.abs(z) > 2.0
        count[rows[gone], cols[gone]] = k + 1
        np.logical_not(gone, gone)
        z, rows, cols, c = z[gone], rows[gone], cols[gone], c[gone]
        np.multiply(z, z, z)
        np.add(z, c, z)
    return count.T


def energies(mass, position, steps):
    """Results go into arrays made by `np.ndarray`; a helper's tuple is stored into two of their elements."""
    kinetic = np.ndarray(steps + 1, dtype=np.float64)
    potential = np.ndarray((steps + 1,), dtype=mass.dtype)
    for k in range(steps + 1):
        kinetic[k], potential[k] = energy_pair(mass, position * (1.0 + k))
    return kinetic, potential


def energy_pair(mass, position):
    apart = position - position.T
    near = np.sqrt(apart**2 + 0.01)
    near[near > 0] = 1.0 / near[near > 0]
    return 0.5 * np.sum(mass * position**2), np.sum(np.sum(np.triu(-(mass * mass.T) * near, 1)))


def spread_of_columns(data, out):
    """Columns whose spread vanishes divide by one; symmetric halves are stored by one statement."""
    middle = np.mean(data, axis=0)
    spread = np.std(data, axis=0)
    spread[spread <= 0.1] = 1.0
    data -= middle
    data /= np.sqrt(data.shape[0] * 1.0) * spread
    for k in range(data.shape[1] - 1):
        out[k + 1 :, k] = out[k, k + 1 :] = data[:, k] @ data[:, k + 1 :]


def sweep_with_last_column(field, coefficient, k_last):
    """A backward sweep whose last column is copied out of a view before the view's memory changes."""
    kept = np.ndarray((field.shape[0],), dtype=field.dtype)
    for k in range(k_last, k_last - 1, -1):
        column = field[:, k]
        kept[:] = column
        field[:, k] = coefficient * (column - 1.0)
    for k in range(k_last - 1, -1, -1):
        column = field[:, k] - 0.5 * kept
        kept[:] = column
        field[:, k] = coefficient * (column - field[:, k + 1])


def two_kinds_of_coefficients(signal, alpha):
    """Coefficients bound by chained assignment, recursions forward and backward along an axis."""
    a = b = 1.0 - np.exp(-alpha)
    c = d = -b * np.exp(-2.0 * alpha)
    forward = np.empty_like(signal)
    forward[:, 0] = a * signal[:, 0]
    for j in range(1, signal.shape[1]):
        forward[:, j] = a * signal[:, j] + c * forward[:, j - 1]
    backward = np.empty_like(signal)
    backward[:, -1] = 0.0
    for j in range(signal.shape[1] - 2, -1, -1):
        backward[:, j] = b * signal[:, j + 1] + d * backward[:, j + 1]
    return 1 * (forward + backward)


def products_by_stage(x, y, radix, stages):
    """A transform by stages: shapes from powers of integers, `repeat` along an axis, `reshape` of a permuted view."""
    n = radix**stages
    i, j = np.mgrid[0:radix, 0:radix]
    matrix = np.exp(-2.0j * np.pi * i * j / radix)
    ii, jj = np.mgrid[0:radix, 0:n]
    y[:] = x[:]
    for k in range(stages):
        view = np.reshape(y, (radix**k, radix, radix ** (stages - k - 1)))
        turned = np.transpose(view, axes=(1, 0, 2))
        twiddles = np.exp(-2.0j * np.pi * ii[:, : radix**k] * jj[:, : radix**k] / radix ** (k + 1))
        wide = np.repeat(np.reshape(twiddles, (radix, radix**k, 1)), radix ** (stages - k - 1), axis=2)
        line = np.reshape(turned, (n,)) * np.reshape(wide, (n,))
        y[:] = np.reshape(matrix @ np.reshape(line, (radix, radix ** (stages - 1))), (n,))


def reflection_coefficients(r):
    """A scalar that starts as an element and becomes a quotient; an update that reads its target reversed."""
    y = np.empty_like(r)
    alpha, beta = -r[0], 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


IDIOMS = [
    (escape_with_shrinking_arrays, (9, 7, 8)),
    (energies, (uniform(6, 1), uniform(6, 1), 3)),
    (spread_of_columns, (uniform(9, 5), np.eye(5))),
    (sweep_with_last_column, (uniform(4, 6), 1.25, 5)),
    (two_kinds_of_coefficients, (uniform(5, 7), np.float64(0.25))),
    (products_by_stage, (uniform(8) + 1j * uniform(8), np.zeros(8, dtype=np.complex128), 2, 3)),
    (reflection_coefficients, (uniform(8),)),
]


@pytest.mark.parametrize(("fn", "arguments"), IDIOMS, ids=[fn.__name__ for fn, _ in IDIOMS])
def test_idiom(fn, arguments):
    check(fn, *arguments)


# -- derivatives ------------------------------------------------------------------------------------------------


def total_of_sweep(field, coefficient):
    sweep_with_last_column(field, coefficient, field.shape[1] - 1)
    return np.sum(np.sin(field))


def total_of_reflection(r):
    return np.sum(np.cos(reflection_coefficients(r)))


def total_of_counts(x, places):
    """Scattered additions, a masked mean and a fold by a ufunc."""
    sums = np.zeros(5)
    np.add.at(sums, places, x)
    return np.sum(sums**2) + np.mean(x, where=places > 1) + np.multiply.reduce(x) + np.logaddexp.reduce(x)


def total_of_columns(data):
    out = np.eye(data.shape[1])
    spread_of_columns(data, out)
    return np.sum(np.sin(out))


def total_of_picks(table, rows, cols):
    """Integer arrays around a slice, a step known at run time, another shape of a part."""
    picked = table[rows, :, cols]
    part = table[1:3, 1:3].reshape(4, -1)
    part = part * part[:, :1]
    return np.sum(picked**3) + np.sum(part[:: rows.size]) + np.sum(np.roll(table, rows[1], axis=1)[0] * table[1])


DERIVATIVES = [
    (total_of_sweep, (uniform(3, 4), 1.25)),
    (total_of_reflection, (uniform(6),)),
    (total_of_counts, (uniform(6), np.array([0, 3, 3, 1, 4, 0]))),
    (total_of_columns, (uniform(6, 4),)),
    (total_of_picks, (uniform(3, 4, 5), np.array([0, 1]), np.array([2, 4]))),
]


@pytest.mark.parametrize(("fn", "arguments"), DERIVATIVES, ids=[fn.__name__ for fn, _ in DERIVATIVES])
def test_derivative(fn, arguments):
    """The gradient along a direction against central differences."""
    x, *rest = arguments
    found = tj.grad(fn)(x.copy(), *rest)
    direction = np.random.default_rng(3).standard_normal(x.shape)
    ahead, behind = (fn(x + h * direction, *rest) for h in (1e-6, -1e-6))
    np.testing.assert_allclose(np.sum(found * direction), (ahead - behind) / 2e-6, rtol=1e-6)


def test_bins_of_a_number_found_in_the_data():
    def means(x, group):
        k = group.max() + 1
        total = np.zeros((k, x.shape[1]))
        np.add.at(total, group, x)
        return total / np.bincount(group, minlength=k)[:, None], np.bincount(group, minlength=len(x))

    check(means, np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 2, 1]))
