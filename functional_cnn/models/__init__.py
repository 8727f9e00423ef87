"""Networks as pairs of pure functions, ``Model(init, apply)``."""

from functional_cnn.models._model import Model
from functional_cnn.models.lenet import lenet
from functional_cnn.models.resnet import resnet

__all__ = ["Model", "lenet", "resnet"]
