"""Networks as pairs of pure functions, ``Model(init, apply)``, over plain nested dicts."""

from functional_cnn.models._model import Model
from functional_cnn.models._registry import create, names
from functional_cnn.models._summary import Summary, summary
from functional_cnn.models.convnext import convnext
from functional_cnn.models.deeplab_v3 import deeplab_v3
from functional_cnn.models.densenet import densenet
from functional_cnn.models.efficientnet import efficientnet
from functional_cnn.models.lenet import lenet
from functional_cnn.models.mobilenet_v2 import mobilenet_v2
from functional_cnn.models.mobilenet_v3 import mobilenet_v3
from functional_cnn.models.resnet import resnet
from functional_cnn.models.resnet9 import resnet9
from functional_cnn.models.unet import unet
from functional_cnn.models.vgg import vgg
from functional_cnn.models.wide_resnet import wide_resnet

__all__ = [
    "Model",
    "Summary",
    "convnext",
    "create",
    "deeplab_v3",
    "densenet",
    "efficientnet",
    "lenet",
    "mobilenet_v2",
    "mobilenet_v3",
    "names",
    "resnet",
    "resnet9",
    "summary",
    "unet",
    "vgg",
    "wide_resnet",
]
