"""Weights in files and in PyTorch's layouts, without PyTorch; tests/peers compares with the libraries themselves."""

import functools
import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import functional_cnn as fcnn
from functional_cnn import pretrained

MODELS = {
    "resnet18": fcnn.models.resnet(width=2, num_classes=3),
    "resnet50, scanned": fcnn.models.resnet(depth=50, width=2, num_classes=3, scan=True),
    "vgg11": fcnn.models.vgg(depth=11, width=2, num_classes=3),
    "vgg16_bn": fcnn.models.vgg(depth=16, width=2, num_classes=3, norm="batch"),
    "densenet": fcnn.models.densenet(growth=2, num_classes=3),
    "mobilenet_v2": fcnn.models.mobilenet_v2(width=0.25, num_classes=3),
    "mobilenet_v3": fcnn.models.mobilenet_v3(size="small", width=0.25, num_classes=3),
    "efficientnet": fcnn.models.efficientnet(width=0.25, num_classes=3),
    "convnext": fcnn.models.convnext(width=4, num_classes=3),
}
LIBRARIES = {
    "torchvision": MODELS,
    "huggingface": ("resnet18", "resnet50, scanned", "mobilenet_v2", "efficientnet", "convnext"),
    "timm": ("mobilenet_v2", "efficientnet", "convnext"),
}


def random_trees(model, dtype=jnp.float32):
    """All leaves different, which start as constants where they are scales."""
    trees = jax.eval_shape(functools.partial(model.init, dtype=dtype), jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.asarray(rng.random(leaf.shape), leaf.dtype), trees)


@pytest.mark.parametrize(
    ("library", "name"), [(library, name) for library, names in LIBRARIES.items() for name in names]
)
def test_to_torch_and_back(library, name):
    model = MODELS[name]
    trees = random_trees(model)
    state_dict = pretrained.to_torch(model, *trees, library=library)
    assert sum(array.size for array in state_dict.values()) == sum(
        leaf.size for leaf in jax.tree.leaves(trees)
    )
    chex.assert_trees_all_equal(pretrained.from_torch(model, state_dict), trees)


def test_layouts():
    model = MODELS["vgg11"]
    params, state = random_trees(model)
    state_dict = pretrained.to_torch(model, params, state)
    kernel, dense = params["conv1_1"]["kernel"], params["dense1"]["kernel"]
    np.testing.assert_array_equal(state_dict["features.0.weight"][1, 2], kernel[:, :, 2, 1])
    np.testing.assert_array_equal(
        state_dict["classifier.0.weight"].reshape(-1, 16, 7, 7)[5, 3], dense.reshape(7, 7, 16, -1)[:, :, 3, 5]
    )
    np.testing.assert_array_equal(state_dict["classifier.6.weight"], params["head"]["kernel"].T)


def test_names_of_published_densenets():
    model = MODELS["densenet"]
    trees = random_trees(model)
    state_dict = pretrained.to_torch(model, *trees)
    published = {
        re.sub(r"(denselayer\d+)\.(norm|conv)(\d)", r"\1.\2.\3", name): a for name, a in state_dict.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.running_mean" in published
    chex.assert_trees_all_equal(pretrained.from_torch(model, published), trees)


def test_all_faults_are_listed():
    model = MODELS["resnet18"]
    state_dict = pretrained.to_torch(model, *random_trees(model))
    del state_dict["layer1.0.bn1.running_mean"]
    state_dict["fc.weight"] = state_dict["fc.weight"].T
    state_dict["fc.scale"] = state_dict["fc.bias"]
    with pytest.raises(ValueError, match="from_torch: state_dict must have the model's entries") as raised:
        pretrained.from_torch(model, state_dict)
    assert str(raised.value).endswith(
        "missing: layer1.0.bn1.running_mean; too many: fc.scale; "
        "of another shape: fc.weight is (16, 3) and must be (3, 16)"
    )


def test_models_that_no_library_has():
    with pytest.raises(ValueError, match="from_torch: model must be one"):
        pretrained.from_torch(fcnn.models.resnet9(), {})
    model = MODELS["vgg11"]
    with pytest.raises(ValueError, match="library must be one that has this model, got 'timm'"):
        pretrained.to_torch(model, *random_trees(model), library="timm")


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_files(tmp_path, dtype):
    model = MODELS["resnet50, scanned"]
    params, state = random_trees(model, dtype)
    path = tmp_path / "weights.safetensors"
    pretrained.save(path, params, state, metadata={"epoch": "3"})
    found = pretrained.load(path, model)
    chex.assert_trees_all_equal(found, (params, state))
    chex.assert_trees_all_equal_dtypes(found, (params, state))


def test_file_of_arrays_with_strides(tmp_path):
    load_file = pytest.importorskip("safetensors.numpy").load_file
    kernel = np.arange(6.0).reshape(2, 3)
    pretrained.save(
        tmp_path / "weights.safetensors", {"head": {"kernel": kernel.T, "scale": kernel[1, 2]}}, {}
    )
    found = load_file(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(found["params/head/kernel"], kernel.T)
    assert found["params/head/scale"].shape == ()


def test_file_of_a_state_dict(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = MODELS["resnet18"]
    trees = random_trees(model)
    safetensors.save_file(pretrained.to_torch(model, *trees), tmp_path / "torch.safetensors")
    chex.assert_trees_all_equal(pretrained.load(tmp_path / "torch.safetensors", model), trees)


def test_files_that_do_not_serve(tmp_path):
    model = MODELS["resnet18"]
    params, state = random_trees(model)
    with pytest.raises(FileNotFoundError, match=r"nothing is downloaded: bring the \.safetensors"):
        pretrained.load(tmp_path / "resnet18.pth", model)
    with pytest.raises(ValueError, match=r"path must end with '\.safetensors'"):
        pretrained.save(tmp_path / "weights.npz", params, state)
    with pytest.raises(
        TypeError, match=r"must be nested dicts of arrays, got another tree at \['state'\]\[0\]"
    ):
        pretrained.save(tmp_path / "weights.safetensors", params, (state,))
    (tmp_path / "weights.npz").touch()
    with pytest.raises(ValueError, match=r"path must end with \.safetensors, \.pth"):
        pretrained.load(tmp_path / "weights.npz", model)
    pretrained.save(tmp_path / "weights.safetensors", params, {})
    with pytest.raises(ValueError, match=r"state/stem/norm/mean is None and must be \(2,\)"):
        pretrained.load(tmp_path / "weights.safetensors", model)
