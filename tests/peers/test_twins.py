"""Weights exchanged with PyTorch's libraries, both ways: logits, training losses and all gradients are the same."""

import functools
import sys
import types

import jax
import numpy as np
import pytest

import functional_cnn as fcnn

torch = pytest.importorskip("torch")

models = fcnn.models
CLASSES = 7


def torchvision_models():
    # Its operators for boxes are compiled for a build of PyTorch with CUDA, and are not needed.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("_meta_registrations"))
    return pytest.importorskip("torchvision.models", exc_type=ImportError)


def torchvision(name, **options):
    return getattr(torchvision_models(), name)(num_classes=CLASSES, **options)


def huggingface(kind, **options):
    transformers = pytest.importorskip("transformers")
    config = getattr(transformers, f"{kind}Config")(num_labels=CLASSES, **options)
    return getattr(transformers, f"{kind}ForImageClassification")(config)


def timm(name, **options):
    torchvision_models()
    return pytest.importorskip("timm").create_model(name, num_classes=CLASSES, **options)


TWINS = {
    "torchvision resnet18": ("resnet18", {}, models.resnet(depth=18, num_classes=CLASSES)),
    "torchvision resnext50": (
        "resnext50_32x4d",
        {},
        models.resnet(depth=50, groups=32, base_width=4, num_classes=CLASSES),
    ),
    "torchvision resnet50 scanned": ("resnet50", {}, models.resnet(depth=50, scan=True, num_classes=CLASSES)),
    "torchvision vgg13_bn": (
        "vgg13_bn",
        {"dropout": 0.0, "init_weights": False},  # what they start with is drawn twice otherwise
        models.vgg(depth=13, norm="batch", dropout=0.0, num_classes=CLASSES),
    ),
    "torchvision densenet121": ("densenet121", {}, models.densenet(num_classes=CLASSES)),
    "torchvision mobilenet_v2": (
        "mobilenet_v2",
        {"dropout": 0.0},
        models.mobilenet_v2(dropout=0.0, num_classes=CLASSES),
    ),
    "torchvision mobilenet_v3_large": (
        "mobilenet_v3_large",
        {"dropout": 0.0},
        models.mobilenet_v3(dropout=0.0, num_classes=CLASSES),
    ),
    "torchvision mobilenet_v3_small": (
        "mobilenet_v3_small",
        {"dropout": 0.0},
        models.mobilenet_v3(size="small", dropout=0.0, num_classes=CLASSES),
    ),
    "torchvision efficientnet_b0": (
        "efficientnet_b0",
        {"dropout": 0.0, "stochastic_depth_prob": 0.0},
        models.efficientnet(dropout=0.0, stochastic_depth=0.0, num_classes=CLASSES),
    ),
    "torchvision convnext_tiny": (
        "convnext_tiny",
        {"stochastic_depth_prob": 0.0},
        models.convnext(num_classes=CLASSES),
    ),
    "huggingface resnet18": (
        "ResNet",
        {"layer_type": "basic", "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512]},
        models.resnet(depth=18, num_classes=CLASSES),
    ),
    "huggingface resnet50": ("ResNet", {}, models.resnet(depth=50, num_classes=CLASSES)),
    "huggingface mobilenet_v2": (
        "MobileNetV2",
        {"classifier_dropout_prob": 0.0},
        models.mobilenet_v2(dropout=0.0, eps=1e-3, padding="same", num_classes=CLASSES),
    ),
    "huggingface efficientnet_b0": (
        "EfficientNet",
        {
            "width_coefficient": 1.0,
            "depth_coefficient": 1.0,
            "hidden_dim": 1280,
            "dropout_rate": 0.0,
            "drop_connect_rate": 0.0,
        },
        models.efficientnet(eps=1e-3, padding="same", dropout=0.0, stochastic_depth=0.0, num_classes=CLASSES),
    ),
    "timm mobilenet_v2": (
        "mobilenetv2_100",
        {},
        models.mobilenet_v2(dropout=0.0, num_classes=CLASSES),
    ),
    "timm efficientnet_b0": (
        "efficientnet_b0",
        {},
        models.efficientnet(dropout=0.0, stochastic_depth=0.0, num_classes=CLASSES),
    ),
    "timm convnext_tiny": ("convnext_tiny", {}, models.convnext(num_classes=CLASSES)),
    "huggingface convnext_tiny": ("ConvNext", {}, models.convnext(head_eps=1e-12, num_classes=CLASSES)),
}
LIBRARIES = {"torchvision": torchvision, "huggingface": huggingface, "timm": timm}


def make_twin(name):
    kind, options, model = TWINS[name]
    library = name.split()[0]
    torch.manual_seed(0)
    twin = LIBRARIES[library](kind, **options).double()
    return with_exact_activations(twin), model, library


class HardSigmoid(torch.nn.Module):
    """PyTorch's own takes 1 / 6 in single precision for the gradient, in double precision too."""

    def forward(self, x):
        return torch.nn.functional.relu6(x + 3) / 6


class HardSilu(HardSigmoid):
    def forward(self, x):
        return x * super().forward(x)


EXACT = {torch.nn.Hardsigmoid: HardSigmoid, torch.nn.Hardswish: HardSilu}


def with_exact_activations(module):
    for name, child in module.named_children():
        setattr(module, name, EXACT[type(child)]() if type(child) in EXACT else with_exact_activations(child))
    return module


def draw_weights(twin):
    """Random statistics, scales and biases too, which networks start with as constants."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for key, value in twin.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.5, 2.0, generator=generator)
            elif key.endswith("running_mean") or key.endswith("bias"):
                value.normal_(0.0, 0.1, generator=generator)
            elif value.dtype == torch.float64 and value.ndim == 1:
                value.uniform_(0.5, 1.5, generator=generator)


@functools.cache
def images():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3, 64, 64, 3)), np.array([0, 3, 5])


def torch_logits(twin, library):
    x = torch.from_numpy(images()[0].transpose(0, 3, 1, 2).copy())
    found = twin(x)
    return found.logits if library == "huggingface" else found


@pytest.mark.parametrize("name", TWINS)
def test_twins(name):
    twin, model, library = make_twin(name)
    draw_weights(twin)
    params, state = fcnn.pretrained.from_torch(model, twin.state_dict())
    x, labels = images()

    with torch.no_grad():
        expected = torch_logits(twin.eval(), library).numpy()
    logits, _ = jax.jit(model.apply)(params, state, x)
    np.testing.assert_allclose(logits, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())

    logits = torch_logits(twin.train(), library)
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).backward()

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def loss(params):
        logits, moved = model.apply(params, state, x, train=True)
        return fcnn.softmax_cross_entropy(logits, labels).mean(), (logits, moved)

    (_, (trained, moved)), grads = loss(params)
    expected = logits.detach().numpy()
    np.testing.assert_allclose(trained, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())
    ours = fcnn.pretrained.to_torch(model, grads, moved, library=library)
    expected = {key: parameter.grad.numpy() for key, parameter in twin.named_parameters()}
    # Some gradients are sums that cancel, as those of a shift that the next normalisation takes away.
    rounding = 1e-12 * max(np.abs(gradient).max() for gradient in expected.values())
    for key, gradient in expected.items():
        np.testing.assert_allclose(ours[key], gradient, rtol=1e-7, atol=rounding, err_msg=key)


@pytest.mark.parametrize("name", TWINS)
def test_state_dict_and_back(name):
    twin, model, library = make_twin(name)
    state_dict = twin.state_dict()
    there = fcnn.pretrained.to_torch(model, *fcnn.pretrained.from_torch(model, state_dict), library=library)
    expected = {key: value for key, value in state_dict.items() if not key.endswith("num_batches_tracked")}
    assert there.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(there[key], value.numpy(), err_msg=key)
