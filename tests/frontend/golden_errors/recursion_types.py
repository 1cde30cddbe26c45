from tracejit import script


@script
def growing(t, n):
    if n == 0:
        return n
    return growing((t, n), n - 1)


growing(1.0, 3)
