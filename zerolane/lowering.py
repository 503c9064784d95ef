"""From subscripts to one product on the array."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from .operands import OperandError
from .sddmm import sddmm_host
from .subscripts import EinsumError, Subscripts, pair_roles, read_subscripts
from .tensors import khatri_rao, matricize, occupied_columns

__all__ = ["EinsumError", "Lowering", "lower"]


@dataclass(frozen=True, eq=False)
class Lowering:
    """One product left @ right, and what makes the result of it.

    Attributes
    ----------
    kernel : name of what was recognised
    left, right : int8 matrices
    finish : from the product's result to the one that was asked for
    host : what the host does beside laying the operands out, in words
    bias : of the product, or None
    csr : the result is CSR, and `finish` passes it on
    places : SDDMM: the sparse matrix that names the wanted places of the product, and multiplies them
    keeps_order : the product must run as it is, left streaming: turning it round costs the host a
        transposition of a sparse operand
    """

    kernel: str
    left: Any
    right: Any
    finish: Callable[[Any], Any] = field(repr=False)
    host: tuple[str, ...] = ()
    bias: npt.NDArray[np.int32] | None = None
    keeps_order: bool = False
    csr: bool = False
    places: Any = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows, inner size and columns of the product."""
        return (*self.left.shape, self.right.shape[1])

    @property
    def nnz(self) -> int:
        """Nonzeros, or stored entries, of the left matrix."""
        return int(self.left.nnz if sp.issparse(self.left) else np.count_nonzero(self.left))

    def explain(self) -> str:
        """In words, a line for what was recognised and one for each thing that the host does."""
        rows, inner = self.left.shape
        lines = [f"{self.kernel}: a product of {rows:,} x {inner:,} and {inner:,} x {self.right.shape[1]:,}"]
        return "\n".join(lines + [f"  on the host: {step}" for step in self.host])


def lower(text: str, *operands: Any, bias: npt.NDArray[np.int32] | None = None,
          out: str = "dense") -> Lowering:
    """How `Device.einsum` does it.

    Parameters
    ----------
    text : subscripts as NumPy's einsum has them, for two operands, or three for MTTKRP and SDDMM
    operands : int8; dense of any number of dimensions; sparse vectors, matrices of any format, and
        `scipy.sparse.coo_array` of three and more dimensions
    bias : int32 of the result's shape, added; results of one dimension only
    out : "dense" or "csr"; CSR of products whose result is a matrix. SDDMM is CSR always

    Raises EinsumError for subscripts that the array cannot do, OperandError for operands.
    """
    for number, operand in enumerate(operands):
        _check(operand, f"operand {number} of einsum {text!r}")
    subscripts = read_subscripts(text, [operand.shape for operand in operands])
    result_shape = subscripts.shape(subscripts.output)
    if bias is not None and (len(result_shape) != 1 or bias.shape != result_shape):
        raise subscripts.refuse(f"a bias of shape {bias.shape}; it must have the shape of a result of one "
                                "dimension")
    if len(operands) == 3 and bias is None and (sampled := _sampled(subscripts, operands)):
        return sampled
    if out == "csr" and (len(operands) != 2 or len(result_shape) != 2):
        raise subscripts.refuse("only a product of two whose result is a matrix can be CSR; ask for a dense "
                                "result")
    if len(operands) == 2:
        return _pair(subscripts, operands, bias, out == "csr")
    if len(operands) == 3:
        return _mttkrp(subscripts, operands)
    raise subscripts.refuse(f"{len(operands)} operands; the array multiplies two, or three as in "
                            "'ijk,jr,kr->ir' (MTTKRP) or 'ij,ik,kj->ij' (SDDMM)")


def _check(operand: Any, name: str) -> None:
    dense = isinstance(operand, np.ndarray) and not isinstance(operand, np.ma.MaskedArray)
    if not (dense or sp.issparse(operand)):
        raise OperandError(f"{name} is a {type(operand).__name__}; it must be a NumPy array or a SciPy "
                           "sparse array")
    if operand.dtype != np.int8:
        raise OperandError(f"{name} holds values of type {operand.dtype}; they must be int8 "
                           "(sums are int32 and do not go through the int8 multipliers again)")


# ---- two operands: every product that is a matrix product after matricization ---------------------------


def _pair(subscripts: Subscripts, operands: tuple[Any, ...], bias: npt.NDArray[np.int32] | None,
          csr: bool) -> Lowering:
    """The order of the two in which the host has least to do; of CSR the one that makes its rows."""
    both = [_ordered(subscripts, operands, bias, swapped) for swapped in (False, True)]
    if csr:
        roles = pair_roles(subscripts)
        if len(roles.rows) != 1 or len(roles.columns) != 1:
            raise subscripts.refuse("a CSR result takes its rows from one operand and its columns from the "
                                    "other; ask for a dense result")
        chosen = both[subscripts.output[0] == roles.columns][1]
        return replace(chosen, csr=True, finish=lambda result: result)
    return min(both, key=lambda order: order[0])[1]


def _ordered(subscripts: Subscripts, operands: tuple[Any, ...], bias: npt.NDArray[np.int32] | None,
             swapped: bool) -> tuple[tuple[int, int, bool], Lowering]:
    """One order, with what it costs: sparse entries sorted, dense values copied, sparse that rests."""
    roles = pair_roles(subscripts)
    first, second = subscripts.inputs
    outer = (roles.columns, roles.rows) if swapped else (roles.rows, roles.columns)
    names = ("operand 1", "operand 0") if swapped else ("operand 0", "operand 1")
    (left, left_letters), (right, right_letters) = (
        ((operands[1], second), (operands[0], first)) if swapped else
        ((operands[0], first), (operands[1], second)))
    rows = matricize(left, left_letters, outer[0], roles.inner, names[0])
    columns = matricize(right, right_letters, roles.inner, outer[1], names[1])
    made, wanted = outer[0] + outer[1], subscripts.output
    axes = [made.index(letter) for letter in wanted]
    shape = subscripts.shape(made)

    def finish(result: npt.NDArray) -> npt.NDArray:
        return np.asarray(np.transpose(result.reshape(shape), axes), order="C")

    elements = int(np.prod(shape, dtype=object))
    turned = 0 if made == wanted or 1 in (rows.matrix.shape[0], columns.matrix.shape[1]) else elements
    host = [part.note for part in (rows, columns) if part.note]
    if turned:
        host.append(f"the result is transposed ({turned:,} values)")
    if bias is not None:
        bias = bias.reshape((-1, 1) if outer[0] else (1, -1))
    sparse = [sp.issparse(value) for value in (left, right)]
    lowering = Lowering(_kernel_name(subscripts, left, right), rows.matrix, columns.matrix, finish,
                        tuple(host), bias, any(sparse))
    return (rows.moved + columns.moved, rows.copied + columns.copied + turned,
            sparse[1] and not sparse[0]), lowering


def _kernel_name(subscripts: Subscripts, left: Any, right: Any) -> str:
    roles, dimensions = pair_roles(subscripts), sorted((left.ndim, right.ndim))
    sparse = [value for value in (left, right) if sp.issparse(value)]
    if not roles.rows and not roles.columns:
        return "inner product"
    if not roles.inner:
        return "outer product"
    if dimensions[1] > 2:
        return {1: "TTV", 2: "TTM"}.get(dimensions[0], "tensor product")
    if dimensions == [1, 2]:
        sparse_vector = any(value.ndim == 1 for value in sparse)
        return "SpMSpV" if sparse_vector else "SpMV" if sparse else "matrix times vector"
    return ("GEMM", "SpMM", "sparse times sparse")[len(sparse)]


# ---- three operands --------------------------------------------------------------------------------------


def _sampled(subscripts: Subscripts, operands: tuple[Any, ...]) -> Lowering | None:
    """SDDMM: a sparse matrix times the product of two dense ones, place by place; None where it is not."""
    inputs, output = subscripts.inputs, subscripts.output
    if any(len(letters) != 2 for letters in inputs):
        return None
    both = [number for number, letters in enumerate(inputs) if set(letters) == set(output)]
    if len(both) != 1 or not sp.issparse(operands[both[0]]):
        return None
    if inputs[both[0]] != output:
        raise subscripts.refuse(f"the result {output!r} has the places of the sparse operand "
                                f"{inputs[both[0]]!r}: write {inputs[both[0]]!r} and transpose the result")
    rows, columns = (next((number for number, letters in enumerate(inputs)
                           if letter in letters and number != both[0]), None) for letter in output)
    if rows is None or columns is None or rows == columns:
        return None
    inner, = set(inputs[rows]) - {output[0]}
    if set(inputs[columns]) != {inner, output[1]}:
        return None
    left = operands[rows] if inputs[rows][1] == inner else operands[rows].T
    right = operands[columns] if inputs[columns][0] == inner else operands[columns].T
    places = operands[both[0]]
    if sp.issparse(left) or sp.issparse(right):
        raise subscripts.refuse("a factor of what is sampled is sparse; both must be dense")
    return Lowering("SDDMM", left, right, lambda result: result, sddmm_host(places, left, right), csr=True,
                    places=places)


def _mttkrp(subscripts: Subscripts, operands: tuple[Any, ...]) -> Lowering:
    """A tensor of three dimensions times two matrices that share a column letter, matricized."""
    order = sorted(range(3), key=lambda number: -len(subscripts.inputs[number]))
    tensor, letters = operands[order[0]], subscripts.inputs[order[0]]
    factors = {}
    shared = set(subscripts.inputs[order[1]]) & set(subscripts.inputs[order[2]])
    if len(letters) == 3 and len(shared) == 1 and not shared & set(letters):
        column, = shared
        for number in order[1:]:
            mode = subscripts.inputs[number].replace(column, "")
            if len(mode) == 1 and mode in letters:
                factors[mode] = (operands[number], subscripts.inputs[number])
    row = [letter for letter in letters if letter not in factors]
    if len(factors) != 2 or sorted(subscripts.output) != sorted([*row, *shared]):
        raise subscripts.refuse(
            "of three operands the array knows MTTKRP, as 'ijk,jr,kr->ir', and SDDMM, as 'ij,ik,kj->ij' with "
            "a sparse 'ij'; other products of three have int32 sums between them, which do not fit the int8 "
            "multipliers: multiply two and scale the sums to int8 (Device.matmul), then the third")
    column, = shared
    modes = [letter for letter in letters if letter in factors]
    matrices, host = [], []
    for mode in modes:
        factor, factor_letters = factors[mode]
        if sp.issparse(factor):
            raise subscripts.refuse(f"the factor {factor_letters!r} is sparse; it must be dense, as the host "
                                    "multiplies rows of both factors")
        matrices.append(matricize(factor, factor_letters, mode, column, f"the factor {factor_letters!r}"))
    flat = matricize(tensor, letters, row[0], "".join(modes), "the tensor")
    host += [part.note for part in (flat, *matrices) if part.note]
    left, pairs = flat.matrix, None
    if sp.issparse(tensor):
        left, pairs = occupied_columns(left)
    rows, two_digits = khatri_rao(matrices[0].matrix, matrices[1].matrix, pairs)
    host.append(f"{rows.shape[0]:,} rows of products of the factors, as the tensor names pairs of them")
    if two_digits:
        host.append("these exceed int8: two digits to the base of 256 each, results put together")
    ranks = subscripts.sizes[column]
    turned = subscripts.output == column + row[0]

    def finish(result: npt.NDArray) -> npt.NDArray:
        whole = (result[:, :ranks] << np.int32(8)) + result[:, ranks:] if two_digits else result
        return np.ascontiguousarray(whole.T if turned else whole)

    return Lowering("MTTKRP", left, rows, finish, tuple(host), keeps_order=sp.issparse(tensor))
