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
from .operands import Operand, OperandError, as_index32, as_operand
from .plan import Plan
from .problem import checked_capacity, checked_out_dtype, scale_by_side
from .runtime import Image, a_fields, b_fields, check_room, pack_descriptor, place_csr, place_matrix

__all__ = ["Elementwise", "ElementwiseLowering", "ElementwisePlan", "Steps", "StoredCsr", "as_elementwise",
           "as_link", "build_elementwise", "describe", "plan_elementwise"]

_SYMBOLS = {Operation.ADD: "A + B", Operation.SUBTRACT: "B - A", Operation.MULTIPLY: "A * B",
            Operation.MASK: "B where A"}
_OPERATIONS = {"add": Operation.ADD, "subtract": Operation.SUBTRACT, "multiply": Operation.MULTIPLY,
               "mask": Operation.MASK}
_START_CYCLES = 150
"""From the doorbell to the first entry and from the last to done, at a memory's usual latency."""


@dataclass(frozen=True)
class StoredCsr:
    """A result in CSR that a job leaves in the array's memory, int32, for the next one.

    Attributes
    ----------
    room : entries that it can have
    c_address, csr : as of `runtime.Image`
    """

    shape: tuple[int, int]
    room: int
    c_address: int
    csr: dict[str, int]

    @property
    def nonzeros(self) -> int:
        return self.room

    @property
    def wide(self) -> bool:
        return True

    def stream_bytes(self) -> int:
        """With as many entries as there is room for."""
        return 4 * (self.shape[0] + 1) + 8 * self.room

    def fields(self, entries: int) -> dict[str, Any]:
        """Descriptor fields of B, once it is known how many entries there are."""
        return {"b_format": BFormat.CSR32_PACKED, "b_pointers": self.csr["c_pointers"] + 4,
                "b_indices": self.csr["c_indices"], "b_values": self.c_address, "b_nnz": entries,
                "b_first": 0, "b_columns": self.shape[1]}


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A and B, merged into C in CSR, as the array does it, and what happens to C's entries.

    Attributes
    ----------
    operation : Operation, of A and B as the hardware has them
    a, b : Operand, M×N; CSR has sorted columns without duplicates. B may be of int32, or what an earlier job
        left. No `b`: A as it is
    scale, row_scale : ScaleWord of all results, or uint32 (M,) one a row
    host : what the host did to the operands, in words
    """

    operation: Any
    a: Operand
    b: Operand | StoredCsr | None
    out_int8: bool = False
    scale: int = 0
    row_scale: npt.NDArray[np.uint32] | None = None
    relu: bool = False
    capacity: int | None = None
    host: tuple[str, ...] = ()
    kernel: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        return self.a.shape

    @property
    def out_bytes(self) -> int:
        return 1 if self.out_int8 else 4

    @property
    def wide(self) -> bool:
        """B's values are int32."""
        return self.b is not None and self.b.wide

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

    operation: Any
    cycles: float
    terms: dict[str, float] = field(default_factory=dict)

    def label(self) -> str:
        return f"{_SYMBOLS[self.operation]}: both stream, merged"

    def explain(self) -> str:
        parts = ", ".join(f"{name} {value:,.0f}" for name, value in self.terms.items())
        return f"{self.label()}\n  predicted {self.cycles:,.0f} cycles ({parts})"


@dataclass(frozen=True)
class Steps:
    """The plans of jobs that follow each other, each on the result before."""

    plans: tuple[Plan | ElementwisePlan, ...]

    @property
    def cycles(self) -> float:
        return sum(plan.cycles for plan in self.plans)

    def label(self) -> str:
        return "; then ".join(plan.label() for plan in self.plans)

    def explain(self) -> str:
        return "\nthen ".join(plan.explain() for plan in self.plans)


@dataclass(frozen=True)
class ElementwiseLowering:
    """What was recognised; what `Device.explain` and records ask of a `Lowering`.

    Attributes
    ----------
    nnz : nonzeros of all operands together
    """

    kernel: str
    shape: tuple[int, ...]
    nnz: int
    operands: int
    host: tuple[str, ...] = ()

    def explain(self) -> str:
        """In words, a line for what was recognised and one for each thing that the host does."""
        rows, columns = self.shape
        lines = [f"{self.kernel}: {self.operands} operand{'s' * (self.operands > 1)}, {rows:,} x {columns:,}"]
        return "\n".join(lines + [f"  on the host: {step}" for step in self.host])


def as_elementwise(operation: str, x: Any, y: Any, *, scale: Any = None, relu: bool = False,
                   out_dtype: npt.DTypeLike = np.int32, capacity: int | None = None) -> Elementwise:
    """Check what `Device.add` and its neighbours take, see there, and choose which operand is A.

    Parameters
    ----------
    operation : "add", "subtract" (x - y), "multiply", "mask" (x where y is not zero), or "convert" (`y` None)

    Raises OperandError.
    """
    host: list[str] = []
    left = _operand(x, "a", host, wide=operation in ("add", "subtract", "mask"))
    right = None if y is None else _operand(y, "b", host, wide=operation == "add")
    if right is not None and left.shape != right.shape:
        raise OperandError(f"shapes {left.shape} of a and {right.shape} of b differ; elementwise operations "
                           "need matrices of one shape")
    finish = _finish(left.shape, scale, relu, out_dtype, capacity)
    return Elementwise(*_sides(operation, left, right), **finish, host=tuple(host), kernel=operation)


def as_link(operation: str, y: Any, before: StoredCsr, name: str, *, scale: Any = None, relu: bool = False,
            out_dtype: npt.DTypeLike = np.int32, capacity: int | None = None) -> Elementwise:
    """The same where x is what an earlier job leaves; `y` is int8."""
    host: list[str] = []
    operand = _operand(y, name, host, wide=False)
    if operand.shape != before.shape:
        raise OperandError(f"{name} has shape {operand.shape}; it must be {before.shape}, as that before it")
    return Elementwise(_OPERATIONS[operation], operand, before,
                       **_finish(before.shape, scale, relu, out_dtype, capacity), host=tuple(host))


def _finish(shape: tuple[int, int], scale: Any, relu: bool, out_dtype: npt.DTypeLike, capacity: int | None
            ) -> dict[str, Any]:
    """What becomes of the entries, checked."""
    out_int8 = checked_out_dtype(out_dtype, scale)
    checked_capacity(capacity, True)
    word, row_scale, column_scale = scale_by_side(scale, shape, shape)
    if column_scale is not None:
        raise OperandError("a scale for each column cannot be applied to a CSR result; one a row (M, 1) can")
    return {"out_int8": out_int8, "scale": word, "row_scale": row_scale, "relu": bool(relu),
            "capacity": capacity}


def _sides(operation: str, left: Operand, right: Operand | None) -> tuple[Any, Operand, Operand | None]:
    """A is the int8 operand of two, and the dense one where the order does not matter: it is read faster."""
    if right is None:
        return Operation.ADD, left, None
    made = _OPERATIONS[operation]
    if operation in ("subtract", "mask"):
        return made, right, left
    wide = [left.wide, right.wide]
    if all(wide):
        raise OperandError("both operands are int32; the array adds int32 and int8")
    swaps = wide[0] or (not wide[1] and not right.sparse and left.sparse)
    return (made, right, left) if swaps else (made, left, right)


def _operand(value: Any, name: str, host: list[str], *, wide: bool) -> Operand:
    """In two dimensions; CSR with columns that rise, which takes a copy where they do not."""
    if getattr(value, "ndim", 2) != 2:
        raise OperandError(f"{name} has {value.ndim} dimensions; elementwise operations take matrices")
    limits: Any = np.iinfo(np.int8)
    if getattr(value, "dtype", None) == np.int32 and sp.issparse(value):
        if not wide:
            raise OperandError(f"{name} holds values of type int32; it must be int8 here (only one operand "
                               "of add, and the first one of subtract and mask, may be int32)")
        matrix, limits = as_index32(value, name), np.iinfo(np.int32)
    else:
        operand = as_operand(value, name)
        if not operand.sparse:
            return operand
        matrix = operand.stored
    if matrix.has_canonical_format:
        return Operand(matrix)
    summed = matrix.astype(np.int64)
    summed.sum_duplicates()
    if summed.nnz and not (limits.min <= summed.data.min() and summed.data.max() <= limits.max):
        raise OperandError(f"{name} has duplicates that add up beyond {limits.dtype}; add them up and scale "
                           "them first")
    host.append(f"{name}'s columns are sorted, duplicates added up")
    arrays = (summed.data.astype(limits.dtype), summed.indices, summed.indptr)
    return Operand(sp.csr_array(arrays, shape=matrix.shape))


def build_elementwise(problem: Elementwise, config: Config, memory_bytes: int, used_bytes: int = 0
                      ) -> tuple[Image, dict[str, Any]]:
    """Lay operands, result and descriptor out in memory, behind the first `used_bytes`.

    Returns the descriptor's fields, too, for `describe`; those of a B that is a StoredCsr are not among them.

    Raises LayoutError where they need more than `memory_bytes`, OperandError where the configuration has no
    merger.
    """
    if not config.elementwise:
        raise OperandError(f"configuration {config.name!r} has merge_lanes = 0: it cannot merge matrices")
    if problem.out_int8 and not config.scale_multipliers:
        raise OperandError(f"configuration {config.name!r} has scale_multipliers = 0: it cannot make int8 "
                           "results")
    rows, columns = problem.shape
    image = Image(c_shape=problem.shape, c_dtype=np.int8 if problem.out_int8 else np.int32,
                  descriptor_count=1, used_bytes=used_bytes)
    image.descriptor_address = image.place(DESCRIPTOR_BYTES)
    a_place = place_matrix(image, problem.a)
    fields: dict[str, Any] = {
        "opcode": Opcode.ELEMENTWISE_WIDE if problem.wide else Opcode.ELEMENTWISE,
        "operation": problem.operation, "rows": rows, "k_count": columns,
        "n_count": columns if problem.b else 0, "relu": problem.relu, "scale": problem.scale,
        "out_int8": problem.out_int8, "row_scale": problem.row_scale is not None,
    }
    fields |= a_fields(problem.a, a_place)
    if isinstance(problem.b, Operand):
        fields |= b_fields(problem.b, place_matrix(image, problem.b), 0, rows, 0, packed=True)
    elif problem.b is None:
        fields |= {"b_format": BFormat.DENSE_PACKED}
    if problem.row_scale is not None:
        fields["params_address"] = image.put(problem.row_scale)
    place_csr(image, rows, problem.entries, problem.out_bytes)
    # Indices as SciPy has them; zeros are no entries, as in SciPy.
    fields |= {"out_csr": 1, "csr_index32": 1, "csr_drop_zeros": 1, "c_address": image.c_address,
               "c_capacity": problem.entries, **image.csr}
    check_room(image.used_bytes, memory_bytes)
    return image, fields


def describe(image: Image, fields: dict[str, Any]) -> None:
    """Put the descriptor in its place."""
    image.pieces.append((image.descriptor_address, pack_descriptor(fields)))


def plan_elementwise(problem: Elementwise, config: Config) -> ElementwisePlan:
    """What the operation is predicted to cost, with as many entries as there can be."""
    bytes_ = elementwise_bound(config, problem.a.stream_bytes(), problem.b.stream_bytes() if problem.b else 0,
                               problem.shape[0], problem.entries, out_bytes=problem.out_bytes)
    elements = problem.a.nonzeros + (problem.b.nonzeros if problem.b else 0) + 2 * problem.shape[0]
    terms = {"merging": elements / config.merge_lanes, "memory": bytes_.memory_cycles}
    return ElementwisePlan(problem.operation, _START_CYCLES + max(terms.values()), terms)
