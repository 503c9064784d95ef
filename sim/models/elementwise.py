"""What an elementwise descriptor does to memory, in plain Python, and which faults its operands have."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np

from hdl.descriptor import Opcode
from hdl.layouts import Operation
from hdl.registers import ErrorCode

__all__ = ["Values", "run_elementwise"]

Values = Callable[[int, int, str], np.ndarray]
"""Elements of memory: (address, count, type) to an array."""

_MAKE = {Operation.ADD: lambda a, b: a + b, Operation.SUBTRACT: lambda a, b: b - a,
         Operation.MULTIPLY: lambda a, b: a * b, Operation.MASK: lambda a, b: b}


def run_elementwise(values: Values, d: Mapping[str, int], scaled: Callable[[int, int], int]
                    ) -> tuple[frozenset[ErrorCode], list[tuple[int, bytes]]]:
    """Faults of a descriptor that is not refused, of which the first one met ends the job, and where there
    are none (address, bytes) of the three arrays; `scaled` applies a ScaleWord."""
    faults: set[ErrorCode] = set()
    wide = d["opcode"] == Opcode.ELEMENTWISE_WIDE.value
    a = _rows(values, d, "a", d["a_format"], d["k_count"], "i1", faults)
    b = _rows(values, d, "b", d["b_format"] - 1, d["n_count"], "<i4" if wide else "i1", faults)
    if faults:
        return frozenset(faults), []
    operation = Operation(d["operation"])
    joins = operation in (Operation.ADD, Operation.SUBTRACT)
    pointers, columns, results = [0], [], []
    for row, (left, right) in enumerate(zip(a, b, strict=True)):
        for column in sorted(left.keys() | right.keys() if joins else left.keys() & right.keys()):
            made = _MAKE[operation](left.get(column, 0), right.get(column, 0))
            result = _finished(made, row, values, d, scaled)
            if result or not d["csr_drop_zeros"]:
                columns.append(column)
                results.append(result)
        pointers.append(len(columns))
    if len(columns) > d["c_capacity"]:
        return frozenset({ErrorCode.OUTPUT_FULL}), []
    arrays = {
        "c_address": np.array(results, np.int64).astype("i1" if d["out_int8"] else "<i4"),
        "c_indices": np.array(columns, np.int64).astype("<i4" if d["csr_index32"] else "<u2"),
        "c_pointers": np.array(pointers, "<i4"),
    }
    return frozenset(), [(d[name], array.tobytes()) for name, array in arrays.items()]


def _finished(value: int, row: int, values: Values, d: Mapping[str, int], scaled: Callable[[int, int], int]
              ) -> int:
    value = (value + (1 << 31)) % (1 << 32) - (1 << 31)   # wraps
    if d["relu"]:
        value = max(value, 0)
    if not d["out_int8"]:
        return value
    word = int(values(d["params_address"] + 4 * row, 1, "<u4")[0]) if d["row_scale"] else d["scale"]
    return scaled(value, word)


def _rows(values: Values, d: Mapping[str, int], name: str, form: int, count: int, kind: str,
          faults: set[ErrorCode]) -> list[dict[int, int]]:
    """Column to value, of what is not zero."""
    rows, columns = d["rows"], d[f"{name}_columns"]
    if form == 0:
        if not count:
            return [{} for _ in range(rows)]
        lines = [values(d[f"{name}_values"] + row * d[f"{name}_stride"], count, "i1") for row in range(rows)]
        return [{column: int(value) for column, value in enumerate(line) if value} for line in lines]
    nnz, first = d[f"{name}_nnz"], d[f"{name}_first"]
    ends = values(d[f"{name}_pointers"], rows, "<i4").astype(np.int64) - (first - (first >> 31 << 32))
    if (np.diff(ends, prepend=0) < 0).any() or ends[-1] != nnz or (ends > nnz).any():
        # Entries come in other rows than they should, in which they may fall.
        faults |= {ErrorCode.ROW_POINTER, ErrorCode.COLUMN_INDEX}
        return []
    indices = values(d[f"{name}_indices"], nnz, "<u4" if form == 2 else "<u2").astype(np.int64).tolist()
    if any(index >= columns for index in indices):
        faults.add(ErrorCode.COLUMN_INDEX)
    entries = list(zip(indices, values(d[f"{name}_values"], nnz, kind).tolist(), strict=True))
    result = []
    for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        row = [(index, value) for index, value in entries[begin:end] if value and index < min(count, columns)]
        if any(one >= other for (one, _), (other, _) in pairwise(row)):
            faults.add(ErrorCode.COLUMN_INDEX)
        result.append(dict(row))
    return result
