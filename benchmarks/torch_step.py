"""The training step in PyTorch, channels last, eager or through ``torch.compile``."""

import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, as in PyTorch's own pages

from benchmarks import torch_arrays
from benchmarks.measure import Program
from benchmarks.steps import MOMENTUM, RATE, Problem, apply_network


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

    def block(self, network, *xs):
        return network(self, *xs)

    def keep(self, x):
        return x


def _tensor(leaf: str, array: np.ndarray) -> torch.Tensor:
    return torch_arrays.kernel(array) if leaf == "kernel" else torch.from_numpy(array.copy())


def make_torch_step(problem: Problem, *, compiled: bool) -> Program:
    params, state = (
        {name: {leaf: _tensor(leaf, a) for leaf, a in leaves.items()} for name, leaves in tree.items()}
        for tree in (problem.params, problem.state)
    )
    parameters = [tensor.requires_grad_() for leaves in params.values() for tensor in leaves.values()]
    optimizer = torch.optim.SGD(parameters, RATE, momentum=MOMENTUM, foreach=True)
    images = torch_arrays.images(problem.images)
    labels = torch.from_numpy(problem.labels).long()

    def loss_fn(images, labels):
        logits = apply_network(problem.setting, _TorchLayers(params, state), images)
        return F.cross_entropy(logits, labels)

    computed = torch.compile(loss_fn) if compiled else loss_fn

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = computed(images, labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    if not compiled:
        return Program(run, None, None)
    start = time.perf_counter()  # compiled at its first call
    computed(images, labels).backward()
    return Program(run, time.perf_counter() - start, None)
