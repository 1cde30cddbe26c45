import logging

import numpy as np

from tracejit import script

log = logging.getLogger(__name__)


@script
def f(x):
    log.info("sum %s", x.sum())
    return x


f(np.ones(3))
