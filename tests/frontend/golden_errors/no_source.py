from tracejit import script

namespace = {}
exec("def f(x):\n    return x + 1", namespace)
script(namespace["f"])
