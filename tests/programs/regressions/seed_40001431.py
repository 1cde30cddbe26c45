"""A loop without end beside a branch that always raises: what they write keeps its sizes."""


def program(a, b, m, q, x, y, k):
    if 1.0 < m:
        b = a
    c7 = 0
    while True:
        c7 += 1
        if a <= a:
            while True:
                b[b < b] = x
                a = b.copy()
        else:
            a[True] = helper1(1.25, z=b)


SEED = 40001431
GRADIENT = False
