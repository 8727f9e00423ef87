"""Steps, the loop, and datasets from files."""

import gzip

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import functional_cnn as fcnn
from functional_cnn import data, training

MODEL = fcnn.models.lenet(
    image_size=8,
    window=3,
    widths=(16, 32),
    hidden=(64, 32),
    paddings=("SAME", "SAME"),
    batch_norm=True,
    dropout=0.1,
)
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))


@pytest.fixture(autouse=True)
def _optax_promotes():
    """Adam raises a float to the power of an int."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def test_fit_learns_digits():
    train, test = data.load_digits()
    state = training.TrainState.create(MODEL, OPTIMIZER, jax.random.key(0))
    step, eval_step = training.make_train_step(MODEL, OPTIMIZER), training.make_eval_step(MODEL)

    def epoch(rng):
        for images, labels in data.batches(train, 64, rng):
            yield data.shifted(images, 1, rng), labels

    def on_epoch(state):
        return {"accuracy": training.evaluate(eval_step, state, data.batches(test, 100))["accuracy"]}

    state, history = training.fit(step, state, epoch, epochs=8, on_epoch=on_epoch, progress=False)
    assert int(state.step) == 8 * (1437 // 64)
    assert [record["epoch"] for record in history] == list(range(1, 9))
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert history[-1]["test_accuracy"] > 0.85
    assert set(history[0]["gradient_norms"]) == {
        "conv1",
        "norm1",
        "conv2",
        "norm2",
        "dense1",
        "dense2",
        "dense3",
    }
    assert all(norm > 0 for record in history for norm in record["gradient_norms"].values())


def test_step_works_inside_another_jit():
    optimizer = optax.sgd(0.1)
    step = training.make_train_step(MODEL, optimizer)
    state = training.TrainState.create(MODEL, optimizer, jax.random.key(1))
    images = jnp.asarray(np.random.default_rng(0).random((8, 8, 8, 1), np.float32))
    labels = jnp.arange(8, dtype=jnp.int32)
    inside, _ = jax.jit(lambda state: jax.lax.scan(lambda s, _: step(s, images, labels), state, length=2))(
        state
    )
    for _ in range(2):
        state, _ = step(state, images, labels)
    chex.assert_trees_all_close(inside.params, state.params, atol=1e-4)


def test_step_is_traced_once_and_repeats_exactly():
    step = chex.assert_max_traces(training.make_train_step(MODEL, OPTIMIZER).__wrapped__, n=1)
    step = jax.jit(step)
    images = jnp.asarray(np.random.default_rng(0).random((8, 8, 8, 1), np.float32))
    labels = jnp.arange(8, dtype=jnp.int32)
    runs = []
    for _ in range(2):
        state = training.TrainState.create(MODEL, OPTIMIZER, jax.random.key(1))
        for _ in range(3):
            state, metrics = step(state, images, labels)
        runs.append((state.params, metrics))
    chex.assert_trees_all_equal(*runs)


def test_training_draws_anew_in_each_step_and_evaluation_does_not():
    images, labels = jnp.ones((4, 8, 8, 1), jnp.float32), jnp.zeros(4, jnp.int32)
    still = optax.sgd(0.0)
    state = training.TrainState.create(MODEL, still, jax.random.key(1))
    step, eval_step = training.make_train_step(MODEL, still), training.make_eval_step(MODEL)
    after, first = step(state, images, labels)
    _, second = step(after, images, labels)
    assert first["loss"] != second["loss"]
    assert eval_step(state, images, labels)["loss"] == eval_step(state, images, labels)["loss"]


def test_fit_takes_a_step_with_metrics_of_its_own():
    def step(state, images, labels):
        return state + 1, {"loss": jnp.bfloat16(0.1), "share": jnp.float32(0.5)}

    state, history = training.fit(step, 0, lambda rng: [(None, [0])] * 1000, epochs=1, progress=False)
    assert state == 1000
    np.testing.assert_allclose(history[0]["loss"], 0.1, rtol=2e-3)  # a sum in bfloat16 stands still at 32
    assert history[0]["share"] == 0.5


def test_evaluate_weighs_a_smaller_last_batch_by_its_size():
    train, _ = data.load_digits()
    part = data.Dataset(train.images[:10], train.labels[:10])
    state = training.TrainState.create(MODEL, OPTIMIZER, jax.random.key(0))
    eval_step = training.make_eval_step(MODEL)
    whole = training.evaluate(eval_step, state, data.batches(part, 10))
    cut = training.evaluate(eval_step, state, data.batches(part, 4))
    np.testing.assert_allclose(cut["loss"], whole["loss"], rtol=1e-5)
    np.testing.assert_allclose(cut["accuracy"], whole["accuracy"], rtol=1e-6)
    np.testing.assert_array_equal(cut["predictions"], whole["predictions"])
    with pytest.raises(ValueError, match="evaluate: batches must hold at least one example"):
        training.evaluate(eval_step, state, [])


def test_distributions_as_labels_and_norms_in_half_precision():
    still = optax.sgd(0.0)
    state = training.TrainState.create(MODEL, still, jax.random.key(1))
    step = training.make_train_step(MODEL, still)
    images, labels = jnp.ones((4, 8, 8, 1), jnp.float32), jnp.arange(4)
    _, integers = step(state, images, labels)
    _, distributions = step(state, images, jax.nn.one_hot(labels, 10, dtype=jnp.float32))
    np.testing.assert_allclose(distributions["loss"], integers["loss"], rtol=1e-6)
    assert distributions["accuracy"] == integers["accuracy"]
    norms = training.layer_norms({"layer": {"kernel": jnp.full(4, 300, jnp.float16)}})
    np.testing.assert_allclose(norms["layer"], 600)


def test_digits_are_split_once_and_for_all():
    train, test = data.load_digits()
    assert train.images.dtype == np.float32
    assert 0 <= train.images.min() < train.images.max() <= 1
    seen = {image.tobytes() for image in train.images}
    assert sum(image.tobytes() in seen for image in test.images) == 0
    np.testing.assert_array_equal(data.load_digits()[1].labels, test.labels)
    assert np.bincount(test.labels).min() >= 34


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + np.asarray(array.shape, ">i4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write(path, content, zipped):
    path.parent.mkdir(parents=True, exist_ok=True)
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("zipped", [False, True])
def test_mnist_files(tmp_path, zipped):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (5, 28, 28)), np.arange(5)
    for part in ("train", "t10k"):
        write(tmp_path / f"{part}-images-idx3-ubyte", idx(images), zipped)
        with pytest.raises(FileNotFoundError, match=f"put {part}-labels-idx1-ubyte or .*gz into"):
            data.load_mnist(tmp_path)
        write(tmp_path / f"{part}-labels-idx1-ubyte", idx(labels), zipped)
        if part == "train":
            continue
        train, _ = data.load_mnist(tmp_path)
        np.testing.assert_allclose(train.images[..., 0] * 255, images, rtol=1e-6)
        np.testing.assert_array_equal(train.labels, labels)
        assert train.images.dtype == np.float32


@pytest.mark.parametrize("zipped", [False, True])
def test_cifar_files(tmp_path, zipped):
    rng = np.random.default_rng(0)
    labels, pixels = np.array([3, 9], np.uint8), rng.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    content = np.concatenate([labels[:, None], pixels.transpose(0, 3, 1, 2).reshape(2, -1)], axis=1).tobytes()
    folder = tmp_path / "cifar-10-batches-bin"
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        write(folder / name, content, zipped)
    train, test = data.load_cifar10(tmp_path)
    assert train.images.shape == (10, 32, 32, 3)
    np.testing.assert_allclose(test.images * 255, pixels, rtol=1e-6)
    np.testing.assert_array_equal(test.labels, labels)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"not idx", "not an IDX file"),
        (idx(np.zeros((2, 3, 3)))[:-1], "its header says"),
        (idx(np.zeros(4)), "with 3 dimensions"),
    ],
)
def test_damaged_mnist_file(tmp_path, content, text):
    write(tmp_path / "train-images-idx3-ubyte", content, False)
    with pytest.raises(ValueError, match=text):
        data.load_mnist(tmp_path)


def test_damaged_cifar_file(tmp_path):
    for i in range(1, 6):
        write(tmp_path / f"data_batch_{i}.bin", b"12345", False)
    with pytest.raises(ValueError, match="must hold rows of 3073 bytes, it holds 5 bytes"):
        data.load_cifar10(tmp_path)


def test_damaged_gzip_file(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros((2, 3, 3))))[:-9])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        data.load_mnist(tmp_path)


def test_images_without_labels(tmp_path):
    for part in ("train", "t10k"):
        write(tmp_path / f"{part}-images-idx3-ubyte", idx(np.zeros((3, 4, 4))), False)
        write(tmp_path / f"{part}-labels-idx1-ubyte", idx(np.zeros(2)), False)
    with pytest.raises(ValueError, match="3 images beside 2 labels"):
        data.load_mnist(tmp_path)
