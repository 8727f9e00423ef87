"""Our arrays as PyTorch takes them, channels last in memory."""

import numpy as np
import torch

_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def images(array: np.ndarray) -> torch.Tensor:
    """(N, *spatial, C) seen as (N, C, *spatial), which leaves the channels last in memory; (N, C) stays."""
    tensor = torch.from_numpy(array)
    return tensor.movedim(-1, 1) if tensor.ndim > 2 else tensor


def kernel(array: np.ndarray) -> torch.Tensor:
    """A copy of a kernel (*window, I, O) as (O, I, *window)."""
    tensor = torch.from_numpy(array).permute(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2)).clone()
    return tensor.contiguous(memory_format=_LAYOUTS.get(tensor.ndim, torch.contiguous_format))
