"""Weights from PyTorch and back, and files of weights. Nothing is downloaded: bring the file.

``from_torch`` takes the state dicts of torchvision, timm and Hugging Face transformers; ``load`` reads them from
``.safetensors`` and ``.pth`` files, and reads what ``save`` wrote.
"""

from functional_cnn.pretrained._files import load, save
from functional_cnn.pretrained._torch import from_torch, to_torch

__all__ = ["from_torch", "load", "save", "to_torch"]
