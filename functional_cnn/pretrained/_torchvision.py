"""The names of torchvision's models."""

import itertools
import re

from functional_cnn.pretrained._naming import Naming, conv_norm

_BLOCK = "stage{s}_block{b}"
_PAIR = (".0", ".1")  # a convolution and its normalisation inside a sequence


def _vgg(convolutions: tuple[int, ...], norm: bool) -> Naming:
    rules, place = [], 0
    for stage, count in enumerate(convolutions, start=1):
        for number in range(1, count + 1):
            rules.append((f"conv{stage}_{number}", f"features.{place}"))
            if norm:
                rules.append((f"norm{stage}_{number}", f"features.{place + 1}"))
            place += 3 if norm else 2  # the activation stands in the sequence too
        place += 1  # and so does the pool
    rules += [("dense1", "classifier.0"), ("dense2", "classifier.3"), ("head", "classifier.6")]
    return Naming("torchvision", rules, {"dense1": (7, 7)})


_VGG = ((1, 1, 2, 2, 2), (2, 2, 2, 2, 2), (2, 2, 3, 3, 3), (2, 2, 4, 4, 4))

RESNET = Naming(
    "torchvision",
    [
        *conv_norm("stem", "", "conv1", "bn1"),
        *conv_norm(f"{_BLOCK}/conv{{n}}", "layer{s}.{b0}.", "conv{n}", "bn{n}"),
        *conv_norm(f"{_BLOCK}/shortcut", "layer{s}.{b0}.downsample", *_PAIR),
        ("head", "fc"),
    ],
)
DENSENET = Naming(
    "torchvision",
    [
        *conv_norm("stem", "features.", "conv0", "norm0"),
        (f"{_BLOCK}/norm{{n}}", "features.denseblock{s}.denselayer{b}.norm{n}"),
        (f"{_BLOCK}/conv{{n}}", "features.denseblock{s}.denselayer{b}.conv{n}"),
        ("transition{s}/norm", "features.transition{s}.norm"),
        ("transition{s}/conv", "features.transition{s}.conv"),
        ("norm", "features.norm5"),
        ("head", "classifier"),
    ],
)
_V2_FIRST = "features.1.conv."
MOBILENET_V2 = Naming(
    "torchvision",
    [
        *conv_norm("stem", "features.0", *_PAIR),
        *conv_norm("stage1_block1/depthwise", _V2_FIRST, "0.0", "0.1"),
        *conv_norm("stage1_block1/project", _V2_FIRST, "1", "2"),
        *conv_norm(f"{_BLOCK}/expand", "features.{k}.conv.", "0.0", "0.1"),
        *conv_norm(f"{_BLOCK}/depthwise", "features.{k}.conv.", "1.0", "1.1"),
        *conv_norm(f"{_BLOCK}/project", "features.{k}.conv.", "2", "3"),
        *conv_norm("last", "features.{K}", *_PAIR),
        ("head", "classifier.1"),
    ],
)


MOBILENET_V3 = Naming(
    "torchvision",
    [
        *conv_norm("stem", "features.0", *_PAIR),
        *itertools.chain.from_iterable(
            conv_norm(f"blocks_block{{b}}/{part}", "features.{b}.block.{j}", *_PAIR)
            for part in ("expand", "depthwise", "project")
        ),
        ("blocks_block{b}/squeeze/reduce", "features.{b}.block.{j}.fc1"),
        ("blocks_block{b}/squeeze/expand", "features.{b}.block.{j}.fc2"),
        *conv_norm("last", "features.{K}", *_PAIR),
        ("hidden", "classifier.0"),
        ("head", "classifier.3"),
    ],
)
EFFICIENTNET = Naming(
    "torchvision",
    [
        *conv_norm("stem", "features.0", *_PAIR),
        *itertools.chain.from_iterable(
            conv_norm(f"{_BLOCK}/{part}", "features.{s}.{b0}.block.{j}", *_PAIR)
            for part in ("expand", "depthwise", "project")
        ),
        (f"{_BLOCK}/squeeze/reduce", "features.{s}.{b0}.block.{j}.fc1"),
        (f"{_BLOCK}/squeeze/expand", "features.{s}.{b0}.block.{j}.fc2"),
        *conv_norm("last", "features.8", *_PAIR),
        ("head", "classifier.1"),
    ],
)


def _convnext() -> Naming:
    rules = [("stem_conv", "features.0.0"), ("stem_norm", "features.0.1")]
    for stage in range(1, 5):
        before, place = f"features.{2 * stage - 2}", f"features.{2 * stage - 1}.{{b0}}"
        rules += [(f"downsample{stage}/norm", f"{before}.0"), (f"downsample{stage}/conv", f"{before}.1")]
        parts = {"depthwise": 0, "norm": 2, "expand": 3, "project": 5}
        rules += [(f"stage{stage}_block{{b}}/{part}", f"{place}.block.{at}") for part, at in parts.items()]
        rules.append((f"stage{stage}_block{{b}}/layer_scale", place))
    return Naming("torchvision", [*rules, ("norm", "classifier.0"), ("head", "classifier.2")])


NAMINGS = (
    RESNET,
    *(_vgg(convolutions, norm) for convolutions in _VGG for norm in (False, True)),
    DENSENET,
    MOBILENET_V2,
    MOBILENET_V3,
    EFFICIENTNET,
    _convnext(),
)

# The files that torchvision publishes for its DenseNets write norm.1 for norm1, and so on.
_OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def current_name(entry: str) -> str:
    """The name that torchvision's code has for an entry of one of its files."""
    return _OLD_DENSE_LAYER.sub(r"\1\2", entry)
