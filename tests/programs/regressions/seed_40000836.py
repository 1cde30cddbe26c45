"""What is written from itself stays written where an index then is out of bounds."""


def program(a, b, m, q, x, y, k):
    a[::-1] = a
    b[k] = 0.5


SEED = 40000836
GRADIENT = False
