"""Generators that other files run."""

SCALE = 3


def squares(i):
    return i * i


def scaled(x, log):
    for i in range(len(x)):
        log.append(i)
        if x[i] < 0:
            raise ValueError("negative %d" % i)
        yield x[i] * SCALE + squares(i)


def triples(n):
    scale = lambda v: v * SCALE  # noqa: E731

    def one_more(v):
        return squares(v) + 1

    for i in range(n):
        yield i, scale(i), one_more(i)
