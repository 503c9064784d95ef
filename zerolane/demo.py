"""The main job: a pruned int8 network on scikit-learn's digits, every layer on the simulated array."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from zerolane.device import Device, expected_result
from zerolane.quantize import quantize

__all__ = ["DemoResult", "LayerResult", "Network", "run_demo", "train_network"]

HIDDEN = 64
SPARSITY = 0.75
_PIXEL_MAX = 16
_FINE_TUNE_EPOCHS = 60


@dataclass(frozen=True)
class Network:
    """A two-layer perceptron, weights as (outputs, inputs), and the digits it has not seen.

    Attributes
    ----------
    weights, biases : float64 arrays, two each
    images : int8 (pixels, count), values 0..16
    labels : int (count,)
    calibration : float64 (pixels, count), training images in 0..1, to find the hidden layer's range
    """

    weights: tuple[np.ndarray, np.ndarray]
    biases: tuple[np.ndarray, np.ndarray]
    images: np.ndarray
    labels: np.ndarray
    calibration: np.ndarray

    def with_images(self, count: int | None) -> "Network":
        """The same network with the first `count` of its images."""
        return replace(self, images=np.ascontiguousarray(self.images[:, :count]), labels=self.labels[:count])

    def float_accuracy(self) -> float:
        hidden = np.maximum(self.weights[0] @ (self.images / _PIXEL_MAX) + self.biases[0][:, None], 0)
        logits = self.weights[1] @ hidden + self.biases[1][:, None]
        return float((logits.argmax(axis=0) == self.labels).mean())


@dataclass(frozen=True)
class LayerResult:
    """One layer's run: cycles and how many of its results differ from the golden model's."""

    name: str
    cycles: int
    efficiency: float
    mismatches: int


@dataclass(frozen=True)
class DemoResult:
    float_accuracy: float
    dense_int8_accuracy: float
    pruned_int8_accuracy: float
    dense_layers: tuple[LayerResult, LayerResult]
    pruned_layers: tuple[LayerResult, LayerResult]

    @property
    def mismatches(self) -> int:
        return sum(layer.mismatches for layer in self.dense_layers + self.pruned_layers)

    @property
    def speedup(self) -> float:
        """Dense cycles over pruned cycles, on the same lanes."""
        return (sum(layer.cycles for layer in self.dense_layers)
                / sum(layer.cycles for layer in self.pruned_layers))


def train_network() -> tuple[Network, Network]:
    """The dense network, and the same with 75 % of each layer's weights pruned by magnitude and retrained."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(
        digits.data / _PIXEL_MAX, digits.target, test_size=0.25, random_state=0, stratify=digits.target)
    model = MLPClassifier((HIDDEN,), max_iter=120, learning_rate_init=0.005, random_state=0,
                          tol=0, n_iter_no_change=1000)
    import warnings
    with warnings.catch_warnings():
        # A fixed number of epochs is wanted, not convergence to a tolerance.
        warnings.simplefilter("ignore")
        model.fit(train_x, train_y)

    def snapshot() -> Network:
        return Network(tuple(weight.T.copy() for weight in model.coefs_),  # type: ignore[arg-type]
                       tuple(bias.copy() for bias in model.intercepts_),  # type: ignore[arg-type]
                       np.rint(test_x.T * _PIXEL_MAX).astype(np.int8), test_y, train_x.T)

    dense = snapshot()
    masks = [np.abs(weight) > np.quantile(np.abs(weight), SPARSITY) for weight in model.coefs_]
    for epoch in range(_FINE_TUNE_EPOCHS + 1):
        if epoch:
            model.partial_fit(train_x, train_y)
        for weight, mask in zip(model.coefs_, masks, strict=True):
            weight *= mask
    return dense, snapshot()


def run_demo(device: Device, progress: Callable[[str], None] = lambda text: None,
             images: int | None = None) -> DemoResult:
    """Train, prune, quantize and run both networks on `device`, checking every result.

    `progress` is told each step before it starts; `images` runs only so many of the unseen digits.
    """
    progress("training a 64-64-10 perceptron on 1,347 digits, pruning 75 % of its weights")
    dense, pruned = (network.with_images(images) for network in train_network())
    dense_accuracy, dense_layers = _infer(device, dense, False, progress)
    pruned_accuracy, pruned_layers = _infer(device, pruned, True, progress)
    return DemoResult(dense.float_accuracy(), dense_accuracy, pruned_accuracy, dense_layers, pruned_layers)


def _infer(device: Device, network: Network, sparse: bool,
           progress: Callable[[str], None]) -> tuple[float, tuple[LayerResult, LayerResult]]:
    """int8 inference, both layers on the array: weights stream, activations rest in the tile memory."""
    kind = "pruned" if sparse else "dense"
    float_hidden = np.maximum(network.weights[0] @ network.calibration + network.biases[0][:, None], 0)
    hidden_step = float_hidden.max() / 127

    first = quantize(network.weights[0], 0)
    second = quantize(network.weights[1], 0)
    assert first.scales is not None and second.scales is not None
    step = first.scales / _PIXEL_MAX
    bias = np.rint(network.biases[0] / step).astype(np.int32)[:, None]
    scale = (step / hidden_step)[:, None]
    weights = [sp.csr_array(layer.matrix) if sparse else layer.matrix for layer in (first, second)]

    progress(f"{kind} layer 1: {HIDDEN} x 64 weights times {network.images.shape[1]} images")
    hidden = device.matmul(weights[0], network.images, bias=bias, scale=scale, relu=True, out_dtype=np.int8)
    layers = [_checked(device, f"{kind} layer 1", hidden,
                       expected_result(weights[0], network.images, bias=bias, scale=scale, relu=True,
                                       out_dtype=np.int8))]

    progress(f"{kind} layer 2: 10 x {HIDDEN} weights")
    step = second.scales * hidden_step
    bias = np.rint(network.biases[1] / step).astype(np.int32)[:, None]
    logits = device.matmul(weights[1], hidden, bias=bias)
    layers.append(_checked(device, f"{kind} layer 2", logits, expected_result(weights[1], hidden, bias=bias)))
    accuracy = float(((logits * step[:, None]).argmax(axis=0) == network.labels).mean())
    return accuracy, (layers[0], layers[1])


def _checked(device: Device, name: str, result: np.ndarray, expected: np.ndarray) -> LayerResult:
    job = device.last_job
    assert job is not None
    return LayerResult(name, job.cycles, job.efficiency, int((result != expected).sum()))
