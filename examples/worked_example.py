"""Backpropagation through a tiny CNN, number by number: by hand in NumPy, by our rules, and by ``jax.grad``.

The network: a 2x2 image, a 2x2 filter, ReLU, a dense layer to 3 classes, softmax cross-entropy, one SGD step.
In the notes that this follows, the dense matrix is 3x2 and meets one feature, so their printed figures cannot
follow from their inputs; here the dense layer is the matrix's first column, and every figure is computed anew.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

import functional_cnn as fcnn

IMAGE = [[1.0, 2.0], [3.0, 4.0]]
PARAMS = {
    "filter": [[0.1, 0.2], [0.3, 0.4]],
    "filter bias": [0.1],
    "dense": [[0.1], [0.3], [0.5]],
    "dense bias": [0.1, 0.2, 0.3],
}
LABEL = 0
LEARNING_RATE = 0.1

Figures = dict[str, np.ndarray]


def by_hand() -> Figures:
    """Each step written out: forward, the chain rule backward, the update."""
    x = np.array(IMAGE)
    w, b, v, c = (np.array(value) for value in PARAMS.values())
    truth = np.eye(3)[LABEL]

    z = np.sum(x * w) + b  # the filter fits the image in one place
    a = np.maximum(z, 0)
    logits = v @ a + c
    probabilities = np.exp(logits) / np.exp(logits).sum()
    loss = -np.log(probabilities[LABEL])

    dlogits = probabilities - truth  # of softmax and cross-entropy together
    dv = np.outer(dlogits, a)
    dc = dlogits
    da = v.T @ dlogits
    dz = da * (z > 0)
    dw = dz * x
    db = dz

    figures = {
        "convolution": z,
        "relu": a,
        "logits": logits,
        "probabilities": probabilities,
        "loss": loss,
        "d logits": dlogits,
        "d relu": da,
        "d convolution": dz,
    }
    return figures | _updated(dict(zip(PARAMS, (dw, db, dv, dc), strict=True)))


def by_rules() -> Figures:
    """The same through this library's ops, whose backward passes are the hand-derived rules."""

    def forward(probe):
        """The network; a zero added to each intermediate value receives its gradient."""
        z = fcnn.conv(_image(), probe["filter"], probe["filter bias"], padding="VALID") + probe["z"]
        a = fcnn.relu(z) + probe["a"]
        logits = fcnn.dense(a.reshape(1, 1), probe["dense"].T, probe["dense bias"]) + probe["logits"]
        loss = fcnn.softmax_cross_entropy(logits, jnp.array([LABEL]))[0]
        return loss, (z, a, logits, fcnn.softmax(logits), loss)

    return _differentiated(forward)


def by_jax() -> Figures:
    """The same in plain jax.numpy, differentiated by ``jax.grad`` alone."""

    def forward(probe):
        window = jnp.sum(_image()[0, :, :, 0] * probe["filter"][:, :, 0, 0])
        z = (window + probe["filter bias"]).reshape(1, 1, 1, 1) + probe["z"]
        a = jax.nn.relu(z) + probe["a"]
        logits = a.reshape(1, 1) @ probe["dense"].T + probe["dense bias"] + probe["logits"]
        loss = -jax.nn.log_softmax(logits)[0, LABEL]
        return loss, (z, a, logits, jax.nn.softmax(logits), loss)

    return _differentiated(forward)


def _image() -> jax.Array:
    return jnp.array(IMAGE).reshape(1, 2, 2, 1)


def _differentiated(forward) -> Figures:
    probe = {name: jnp.array(value) for name, value in PARAMS.items()}
    probe["filter"] = probe["filter"].reshape(2, 2, 1, 1)
    probe |= {"z": jnp.zeros((1, 1, 1, 1)), "a": jnp.zeros((1, 1, 1, 1)), "logits": jnp.zeros((1, 3))}
    (_, values), grads = jax.value_and_grad(forward, has_aux=True)(probe)
    names = ("convolution", "relu", "logits", "probabilities", "loss")
    figures = dict(zip(names, values, strict=True))
    figures |= {"d logits": grads["logits"], "d relu": grads["a"], "d convolution": grads["z"]}
    return figures | _updated({name: grads[name] for name in PARAMS})


def _updated(grads: Mapping[str, np.ndarray]) -> Figures:
    figures = {f"d {name}": gradient for name, gradient in grads.items()}
    for name, gradient in grads.items():
        figures[f"new {name}"] = np.array(PARAMS[name]).ravel() - LEARNING_RATE * np.ravel(gradient)
    return figures


def main() -> None:
    columns = {"by hand": by_hand(), "our rules": by_rules(), "jax.grad": by_jax()}
    print("The notes' own figures differ: their 3x2 dense matrix cannot meet one feature. Here it is 3x1.\n")
    print(f"{'':<18}" + "".join(f"{name:>38}" for name in columns))
    worst = 0.0
    for step, expected in columns["by hand"].items():
        rows = [np.ravel(np.asarray(column[step])) for column in columns.values()]
        print(f"{step:<18}" + "".join(f"{' '.join(f'{value:.6f}' for value in row):>38}" for row in rows))
        worst = max(worst, *(float(np.abs(row - np.ravel(expected)).max()) for row in rows))
    if worst > 1e-6:
        raise SystemExit(f"The columns differ by {worst:.1e}, more than 1e-6.")
    print(f"\nEqual to 1e-6: the largest difference is {worst:.1e}.")


if __name__ == "__main__":
    main()
