"""Elementwise operations of two matrices of one shape: checked, laid out in memory, and described."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES, Opcode
from hdl.layouts import BFormat, Operation

from .bound import elementwise_bound
from .operands import Operand, OperandError, as_operand
from .problem import checked_capacity, checked_out_dtype, scale_by_side
from .runtime import Image, a_fields, b_fields, check_room, pack_descriptor, place_csr, place_matrix

__all__ = ["Elementwise", "ElementwisePlan", "as_elementwise", "build_elementwise",
           "plan_elementwise"]

_SYMBOLS = {Operation.ADD: "A + B", Operation.SUBTRACT: "A - B", Operation.MULTIPLY: "A * B",
            Operation.MASK: "A where B"}
_START_CYCLES = 150
"""From the doorbell to the first entry and from the last to done, at a memory's usual latency."""


@dataclass(frozen=True, eq=False)
class Elementwise:
    """C = A op B in CSR, and what happens to its entries.

    Attributes
    ----------
    a, b : Operand, M×N; CSR has sorted columns without duplicates. No `b`: A as it is, in CSR
    scale, row_scale : ScaleWord of all results, or uint32 (M,) one a row
    host : what the host did to the operands, in words
    """

    operation: Operation
    a: Operand
    b: Operand | None
    out_int8: bool = False
    scale: int = 0
    row_scale: npt.NDArray[np.uint32] | None = None
    relu: bool = False
    capacity: int | None = None
    host: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        return self.a.shape

    @property
    def out_bytes(self) -> int:
        return 1 if self.out_int8 else 4

    @cached_property
    def entries(self) -> int:
        """Room of the result: what was asked for, or what it can need at most."""
        if self.capacity is not None:
            return self.capacity
        one, other = self.a.nonzeros, self.b.nonzeros if self.b else 0
        joins = self.operation in (Operation.ADD, Operation.SUBTRACT)
        return min(one + other if joins else min(one, other), self.shape[0] * self.shape[1])


@dataclass(frozen=True)
class ElementwisePlan:
    """There is one way to run an elementwise operation; what `Job` asks of a plan."""

    operation: Operation
    cycles: float
    terms: dict[str, float] = field(default_factory=dict)

    def label(self) -> str:
        return f"{_SYMBOLS[self.operation]}: both stream, merged"

    def explain(self) -> str:
        parts = ", ".join(f"{name} {value:,.0f}" for name, value in self.terms.items())
        return f"{self.label()}\n  predicted {self.cycles:,.0f} cycles ({parts})"


def as_elementwise(operation: Operation, a: Any, b: Any, *, scale: Any = None, relu: bool = False,
                   out_dtype: npt.DTypeLike = np.int32, capacity: int | None = None) -> Elementwise:
    """Check what `Device.add` and its neighbours take; see there. Raises OperandError.

    `b` None is for a conversion of `a` to CSR.
    """
    host: list[str] = []
    left = _operand(a, "a", host)
    right = None if b is None else _operand(b, "b", host)
    if right is not None and left.shape != right.shape:
        raise OperandError(f"shapes {left.shape} of a and {right.shape} of b differ; elementwise operations "
                           "need matrices of one shape")
    out_int8 = checked_out_dtype(out_dtype, scale)
    checked_capacity(capacity, True)
    word, row_scale, column_scale = scale_by_side(scale, left.shape, left.shape)
    if column_scale is not None:
        raise OperandError("a scale for each column cannot be applied to a CSR result; one a row (M, 1) can")
    return Elementwise(operation, left, right, out_int8, word, row_scale, bool(relu), capacity, tuple(host))


def _operand(value: Any, name: str, host: list[str]) -> Operand:
    """In two dimensions; CSR with columns that rise, which takes a copy where they do not."""
    if getattr(value, "ndim", 2) != 2:
        raise OperandError(f"{name} has {value.ndim} dimensions; elementwise operations take matrices")
    operand = as_operand(value, name)
    if not operand.sparse or operand.stored.has_canonical_format:
        return operand
    matrix = operand.stored.astype(np.int64)
    matrix.sum_duplicates()
    if matrix.nnz and not (-128 <= matrix.data.min() and matrix.data.max() <= 127):
        raise OperandError(f"{name} has duplicates that add up beyond int8; add them up and scale them first")
    host.append(f"{name}'s columns are sorted, duplicates added up")
    return Operand(sp.csr_array((matrix.data.astype(np.int8), matrix.indices, matrix.indptr),
                                shape=matrix.shape))


def build_elementwise(problem: Elementwise, config: Config, memory_bytes: int) -> Image:
    """Lay operands, result and descriptor out in memory.

    Raises LayoutError where they need more than `memory_bytes`, OperandError where the configuration has no
    merger.
    """
    if not config.elementwise:
        raise OperandError(f"configuration {config.name!r} has elementwise = False: it cannot merge matrices")
    if problem.out_int8 and not config.scale_multipliers:
        raise OperandError(f"configuration {config.name!r} has scale_multipliers = 0: it cannot make int8 results")
    rows, columns = problem.shape
    image = Image(c_shape=problem.shape, c_dtype=np.int8 if problem.out_int8 else np.int32, descriptor_count=1)
    image.descriptor_address = image.place(DESCRIPTOR_BYTES)
    a_place = place_matrix(image, problem.a)
    fields: dict[str, Any] = {
        "opcode": Opcode.ELEMENTWISE, "operation": problem.operation, "rows": rows, "k_count": columns,
        "n_count": columns if problem.b else 0, "relu": problem.relu, "scale": problem.scale,
        "out_int8": problem.out_int8, "row_scale": problem.row_scale is not None,
    }
    fields |= a_fields(problem.a, a_place)
    if problem.b:
        fields |= b_fields(problem.b, place_matrix(image, problem.b), 0, rows, 0, packed=True)
    else:
        fields |= {"b_format": BFormat.DENSE_PACKED}
    if problem.row_scale is not None:
        fields["params_address"] = image.put(problem.row_scale)
    place_csr(image, rows, problem.entries, problem.out_bytes)
    # Indices as SciPy has them; zeros are no entries, as in SciPy.
    fields |= {"out_csr": 1, "csr_index32": 1, "csr_drop_zeros": 1, "c_address": image.c_address,
               "c_capacity": problem.entries, **image.csr}
    image.pieces.append((image.descriptor_address, pack_descriptor(fields)))
    check_room(image.used_bytes, memory_bytes)
    return image


def plan_elementwise(problem: Elementwise, config: Config) -> ElementwisePlan:
    """What the operation is predicted to cost, with as many entries as there can be."""
    bytes_ = elementwise_bound(config, problem.a, problem.b, problem.entries, out_bytes=problem.out_bytes)
    elements = problem.a.nonzeros + (problem.b.nonzeros if problem.b else 0) + 2 * problem.shape[0]
    terms = {"merging": elements / config.merge_lanes, "memory": bytes_.memory_cycles}
    return ElementwisePlan(problem.operation, _START_CYCLES + max(terms.values()), terms)
