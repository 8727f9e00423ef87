"""The training step in PyTorch, channels last, eager or through ``torch.compile``."""

import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, as in PyTorch's own pages

from benchmarks.steps import MOMENTUM, RATE, Problem, Step


class _TorchLayers:
    def __init__(self, params, state):
        self.params, self.state = params, state

    def conv(self, name, x, features, window, *, stride=1, pad=0, groups=1, bias=False):
        leaves = self.params[name]
        return F.conv2d(x, leaves["kernel"], leaves.get("bias"), stride, pad, groups=groups)

    def conv_transpose(self, name, x, features, window):
        leaves = self.params[name]
        return F.conv_transpose2d(x, leaves["kernel"], leaves["bias"], stride=window)

    def batch_norm(self, name, x):
        running, leaves = self.state[name], self.params[name]
        return F.batch_norm(x, running["mean"], running["var"], leaves["scale"], leaves["bias"], True, 0.1)

    def dense(self, name, x, features):
        return F.linear(x, self.params[name]["kernel"], self.params[name]["bias"])

    def max_pool(self, x, window, *, stride, pad=0):
        return F.max_pool2d(x, window, stride, pad)

    def global_avg_pool(self, x):
        return x.mean((2, 3))

    def activation(self, name, x):
        return getattr(F, name)(x)

    def flatten(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)

    def concatenate(self, xs):
        return torch.cat(xs, 1)

    def scale_channels(self, x, gate):
        return x * gate[..., None, None]

    def channels(self, x):
        return x.shape[1]


def _tensor(leaf: str, array: np.ndarray) -> torch.Tensor:
    """A kernel (*window, I, O) as (O, I, *window) in PyTorch's memory format."""
    tensor = torch.from_numpy(array.copy())
    if leaf != "kernel":
        return tensor
    tensor = tensor.permute(tensor.ndim - 1, tensor.ndim - 2, *range(tensor.ndim - 2))
    return tensor.contiguous(
        memory_format=torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    )


def make_torch_step(problem: Problem, *, compiled: bool) -> Step:
    setting = problem.setting
    params, state = (
        {name: {leaf: _tensor(leaf, a) for leaf, a in leaves.items()} for name, leaves in tree.items()}
        for tree in (problem.params, problem.state)
    )
    parameters = [tensor.requires_grad_() for leaves in params.values() for tensor in leaves.values()]
    optimizer = torch.optim.SGD(parameters, RATE, momentum=MOMENTUM, foreach=True)
    images = torch.from_numpy(problem.images).permute(0, 3, 1, 2)  # channels last in memory
    labels = torch.from_numpy(problem.labels).long()

    def loss_fn(images, labels):
        logits = setting.network(
            _TorchLayers(params, state), images, classes=setting.classes, **setting.options
        )
        return F.cross_entropy(logits, labels)

    computed = torch.compile(loss_fn) if compiled else loss_fn

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = computed(images, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    if not compiled:
        return Step(run, None, None)
    start = time.perf_counter()
    computed(images, labels).backward()
    return Step(run, time.perf_counter() - start, None)
