"""Optimizers and learning-rate schedules."""

from tracejit.optim import lr_scheduler
from tracejit.optim.adam import Adam, AdamW
from tracejit.optim.adaptive import Adagrad, RMSprop
from tracejit.optim.further import ASGD, Adadelta, Adamax, NAdam, RAdam, Rprop
from tracejit.optim.lbfgs import LBFGS
from tracejit.optim.optimizer import Optimizer
from tracejit.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
]
