"""Optimizers and learning-rate schedules."""

from tracejit.optim import lr_scheduler
from tracejit.optim.adam import Adam, AdamW
from tracejit.optim.adaptive import Adagrad, RMSprop
from tracejit.optim.optimizer import Optimizer
from tracejit.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
