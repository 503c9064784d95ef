"""zerolane run for the kernels beside plain products; on the model of the device."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from tests.test_cli import model, zerolane

__all__ = ["model"]


@pytest.fixture(autouse=True)
def files(model: None) -> None:
    rng = np.random.default_rng(3)
    tensor = rng.integers(-128, 128, (4, 5, 6))
    tensor[rng.random(tensor.shape) < 0.6] = 0
    sp.save_npz("t.npz", sp.coo_array(tensor))
    lines = [f"{i + 1} {j + 1} {k + 1} {tensor[i, j, k]}" for i, j, k in np.argwhere(tensor)]
    Path("t.tns").write_text("# a remark\n" + "\n".join(lines) + "\n")
    np.save("t.npy", tensor.astype(np.int8))
    np.save("five.npy", rng.integers(-128, 128, (5, 3)).astype(np.int8))
    np.save("six.npy", rng.integers(-128, 128, (6, 3)).astype(np.int8))
    np.save("v.npy", np.array([1, -2, 0, 3], np.int8))
    np.save("three.npy", np.array([100, -200, 300]))
    np.save("indices.npy", np.array([0, 2, 1, 1]))
    np.save("offsets.npy", np.array([0, 3, 3]))


def wide(name: str) -> np.ndarray:
    for suffix in (".npy", ".npz"):
        path = Path(name + suffix)
        if path.exists():
            found = np.load(path) if suffix == ".npy" else sp.load_npz(path).toarray()
            return found.astype(np.int64)
    raise AssertionError(name)


@pytest.mark.parametrize("arguments, text", [
    (["spmspv", "a.npz", "v.npy"], "ij,j->i"), (["spmspv", "a.npz"], "ij,j->i"),
    (["dot", "v.npy", "v.npy"], "i,i->"), (["dot", "v.npy"], "i,i->"),
    (["gemv", "a.npz", "v.npy"], "ij,j->i"), (["gemv", "a.npz", "--transpose"], "ij,i->j"),
    (["ttv", "t.npz"], "ijk,i->jk"), (["ttv", "t.tns", "--mode", "1"], "ijk,j->ik"),
    (["ttm", "t.npy", "five.npy", "--mode", "1"], "ijk,jr->irk"),
    (["ttm", "t.npz", "--mode", "2", "--cols", "3"], "ijk,kr->ijr"),
    (["mttkrp", "t.tns", "five.npy", "six.npy"], "ijk,jr,kr->ir"),
    (["mttkrp", "t.npz", "--mode", "2", "--cols", "4"], "ijk,ir,jr->kr"),
])
def test_a_kernel_writes_operands_result_and_record(monkeypatch: pytest.MonkeyPatch, arguments: list[str],
                                                    text: str, capsys: pytest.CaptureFixture) -> None:
    assert zerolane(monkeypatch, "run", *arguments, "--out", "o") == 0
    operands = [wide(f"o/{name}") for name in ("a", "b", "d")[:text.count(",") + 1]]
    np.testing.assert_array_equal(np.load("o/c.npy"), np.einsum(text, *operands))
    record = json.loads(Path("o/run.json").read_text())
    assert record["kernel"] == arguments[0] and record["mismatches"] == 0 and record["cycles"] >= 0
    assert record["lowering"].splitlines()[0] in capsys.readouterr().out


@pytest.mark.parametrize("operands", [["a.npz", "fours.npz"], ["square.npz"]])
def test_spgemm_writes_a_csr_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
                                    operands: list[str]) -> None:
    sp.save_npz("fours.npz", sp.csr_array(np.array([[0, 1], [0, 0], [2, 0], [0, -1]], np.int8)))
    sp.save_npz("square.npz", sp.csr_array(np.array([[0, 1, 1], [3, 0, 0], [-3, 0, 0]], np.int8)))
    assert zerolane(monkeypatch, "run", "spgemm", *operands, "--preset", "large", "--out", "o") == 0
    c = sp.load_npz("o/c.npz")
    np.testing.assert_array_equal(c.toarray(), wide("o/a") @ wide("o/b"))
    # The first row of the square cancels to zero, which is an entry.
    assert c.format == "csr" and c.nnz == (3 if operands[0] == "a.npz" else 5)
    assert json.loads(Path("o/run.json").read_text())["out_nnz"] == c.nnz
    assert f"CSR with {c.nnz} entries" in capsys.readouterr().out


def test_spgemm_t_multiplies_by_the_transpose(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.array([[0, 1, 1], [3, 0, 0]], np.int8)
    sp.save_npz("wide.npz", sp.csr_array(a))
    assert zerolane(monkeypatch, "run", "spgemm_t", "wide.npz", "--preset", "large", "--out", "o") == 0
    np.testing.assert_array_equal(sp.load_npz("o/c.npz").toarray(), a.astype(int) @ a.T.astype(int))


@pytest.mark.parametrize("arguments, make", [
    (["add", "a.npz", "other.npy"], lambda a, b: a + b),
    (["sub", "a.npz", "other.npy", "a.npz"], lambda a, b: -b),
    (["mul", "other.npy", "a.npz"], lambda a, b: a * b),
    (["mask", "a.npz", "other.npy"], lambda a, b: a * (b != 0)),
    (["to_csr", "other.npy"], lambda a, b: b)])
def test_elementwise_kernels_write_csr_results(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
                                               arguments: list[str], make: Callable) -> None:
    other = np.arange(-5, 7, dtype=np.int8).reshape(3, 4) % 3
    np.save("other.npy", other)
    assert zerolane(monkeypatch, "run", *arguments, "--out", "o") == 0
    c = sp.load_npz("o/c.npz")
    np.testing.assert_array_equal(c.toarray(), make(wide("a"), other.astype(int)))
    record = json.loads(Path("o/run.json").read_text())
    assert record["mismatches"] == 0 and record["shape"] == [3, 4] and record["out_nnz"] == c.nnz
    assert "3 x 4" in capsys.readouterr().out


def test_to_dense_writes_every_element(monkeypatch: pytest.MonkeyPatch) -> None:
    assert zerolane(monkeypatch, "run", "to_dense", "a.npz", "--out", "o") == 0
    c = np.load("o/c.npy")
    assert c.dtype == np.int8
    np.testing.assert_array_equal(c, wide("o/a"))


def test_spgemm_with_a_mask_keeps_its_places(monkeypatch: pytest.MonkeyPatch) -> None:
    square = np.array([[0, 1, 1], [3, 0, 0], [-3, 2, 0]], np.int8)
    sp.save_npz("square.npz", sp.csr_array(square))
    assert zerolane(monkeypatch, "run", "spgemm", "square.npz", "square.npz", "square.npz", "--out", "o") == 0
    expected = (square.astype(int) @ square) * (square != 0)
    np.testing.assert_array_equal(sp.load_npz("o/c.npz").toarray(), expected)


@pytest.mark.parametrize("operands, inner", [
    (["a.npz", "wide.npy", "five.npy"], 5), (["a.npz", "wide.npy"], 5), (["a.npz", "--cols", "3"], 3)])
def test_sddmm_writes_the_entries_of_its_first_operand(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, operands: list[str],
        inner: int) -> None:
    rng = np.random.default_rng(4)
    np.save("wide.npy", rng.integers(-128, 128, (3, 5)).astype(np.int8))
    np.save("five.npy", rng.integers(-128, 128, (5, 4)).astype(np.int8))
    assert zerolane(monkeypatch, "run", "sddmm", *operands, "--preset", "large", "--out", "o") == 0
    c, s = sp.load_npz("o/c.npz"), sp.load_npz("o/a.npz")
    assert wide("o/b").shape == (3, inner)
    np.testing.assert_array_equal(c.toarray(), wide("o/a") * (wide("o/b") @ wide("o/d")))
    assert c.format == "csr" and c.nnz == s.nnz and c.dtype == np.int32
    assert json.loads(Path("o/run.json").read_text())["mismatches"] == 0
    assert f"SDDMM: a product of 3 x {inner}" in capsys.readouterr().out


def test_gemv_and_residual_add_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    a, x, b = wide("a"), np.load("v.npy").astype(int), np.load("three.npy")
    assert zerolane(monkeypatch, "run", "gemv", "a.npz", "v.npy", "three.npy", "--alpha", "-3", "--beta", "7",
                    "--out", "o") == 0
    np.testing.assert_array_equal(np.load("o/c.npy"), -3 * (a @ x) + 7 * b)
    assert zerolane(monkeypatch, "run", "residual", "a.npz", "v.npy", "three.npy", "--out", "o") == 0
    np.testing.assert_array_equal(np.load("o/c.npy"), b - a @ x)


@pytest.mark.parametrize("options, dtype", [([], np.int32), (["--reduce", "mean"], np.int8),
                                            (["--weights", "v.npy"], np.int32)])
def test_bags_run_from_files(monkeypatch: pytest.MonkeyPatch, options: list[str], dtype: type) -> None:
    assert zerolane(monkeypatch, "run", "embedding_bag", "indices.npy", "offsets.npy", "five.npy", *options,
                    "--out", "o") == 0
    c, table = np.load("o/c.npy"), np.load("five.npy").astype(int)
    assert c.dtype == dtype and c.shape == (3, 3)
    weights = np.load("v.npy").astype(int) if "--weights" in options else np.ones(4, int)
    expected = np.array([weights[:3] @ table[[0, 2, 1]], [0, 0, 0], weights[3] * table[1]])
    if dtype is np.int8:
        expected = np.floor(expected / [[3], [1], [1]] + 0.5)
    np.testing.assert_array_equal(c, expected)


@pytest.mark.parametrize("arguments, reason", [
    (["spmx", "a.npz"], "'spmx' is no kernel; it must be one of spmm"),
    (["spmv", "a.npz", "v.npy", "v.npy"], "spmv takes two operands"),
    (["spgemm", "a.npz"], "4 columns of A against 3 rows of B"),
    (["spgemm", "b.npy", "a.npz"], "2 columns of A against 3 rows of B"),
    (["spgemm", "a.npz", "b.npy", "--preset", "tiny"], "configuration 'tiny' has csr_out = False"),
    (["add", "a.npz", "b.npy"], "3 rows of A against 4 rows of the other"),
    (["add", "a.npz", "a.npz", "--preset", "tiny"], "configuration 'tiny' has merge_lanes = 0"),
    (["mul", "a.npz"], "mul needs 2 operands"),
    (["to_csr", "b.npy", "b.npy"], "to_csr takes 1 operands"),
    (["sddmm", "a.npz", "b.npy", "b.npy", "--preset", "large"], "3 rows of S against 4 rows of A"),
    (["sddmm", "a.npz", "--preset", "tiny"], "configuration 'tiny' has sddmm = False"),
    (["dot", "v.npy", "v.npy", "v.npy"], "dot takes 2 operands; 3 are given"),
    (["dot", "v.npy", "three.npy"], "three.npy: values must be integers from -128 to 127"),
    (["spmspv", "a.npz", "six.npy"], "six.npy: shape (6, 3); it must be a vector"),
    (["spmspv", "a.npz", "v.npy", "--out-dtype", "int8"], "--out-dtype int8"),
    (["gemv", "a.npz", "v.npy", "--beta", "2", "--transpose"], "3 rows against 4 elements of x"),
    (["gemv", "v.npy"], "v.npy: 1 dimensions; it must be a matrix"),
    (["ttv", "a.npz"], "a.npz: 2 dimensions; it must have three"),
    (["ttv", "t.npz", "--mode", "3"], "--mode 3; it must be 0, 1 or 2"),
    (["ttv", "t.npz", "five.npy"], "five.npy: shape (5, 3); it must be a vector"),
    (["ttm", "t.npz", "six.npy"], "4 of dimension 0 against 6 rows of the matrix"),
    (["mttkrp", "t.npz", "five.npy", "b.npy"], "6 of dimension 2 against 4 rows"),
    (["embedding_bag", "indices.npy"], "embedding_bag needs 2 operands"),
    (["embedding_bag", "indices.npy", "indices.npy"], "offsets must rise from 0"),
    (["embedding_bag", "indices.npy", "offsets.npy", "--reduce", "max"], "mode is 'max'"),
    (["embedding_bag", "a.npz", "offsets.npy"], "a.npz: it must be a dense array of integers"),
    (["gemv", "a.npz", "v.npy", "--alpha", "100"], "neither alpha"),
])
def test_wrong_operands_are_exit_status_2_and_one_line(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str],
        reason: str) -> None:
    if arguments[:2] == ["gemv", "a.npz"] and "--alpha" in arguments:
        np.save("v.npy", np.full(4, 127, np.int8))
        sp.save_npz("a.npz", sp.csr_array(np.full((3, 4), 100, np.int8)))
    assert zerolane(monkeypatch, "run", *arguments, "--out", "out") == 2
    captured = capsys.readouterr()
    assert reason in captured.err and captured.err.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("text, reason", [
    ("", "no entries"), ("1 1 1\n", "entry 1 has 3 numbers"), ("0 1 1 5\n", "indices count from 1"),
    ("1 1 1 x\n", "not a number"), ("1 1 1 0.5\n", "integers from -128 to 127"),
    ("1 1 1 nan\n", "NaN or infinity")])
def test_broken_tensor_files_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
                                         text: str, reason: str) -> None:
    Path("broken.tns").write_text(text)
    assert zerolane(monkeypatch, "run", "ttv", "broken.tns") == 2
    assert reason in capsys.readouterr().err
