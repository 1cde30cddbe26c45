"""A whole write to an argument while another has no content of its own: they changed places in a loop."""


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    for i1 in range(n, 1, 1):
        a, b = (b, a)
    m[m > b] = 0.5


SEED = 18827536
GRADIENT = True
