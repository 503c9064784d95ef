"""Elementwise operations: of every form and finish, in lists with products, and wrong."""

from itertools import pairwise
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp

from hdl.registers import ErrorCode, register
from sim import golden
from sim.models.elementwise import run_elementwise
from sim.models.product import scaled
from tests.raw_array import MEMORY_BYTES as RAW_BYTES
from tests.raw_array import draw_job
from zerolane import runtime
from zerolane.device import expected_result
from zerolane.elementwise import Elementwise, as_elementwise, build_elementwise, describe
from zerolane.scaling import scale_words

from .host import WINDOWS
from .images import edited, field_of, fields_of
from .malformed import OUTSIDE
from .session import MEMORY_BYTES, STORAGE_BYTES, Session

__all__ = ["backlogs", "chains", "far_columns", "merge_errors", "merge_faults", "merge_room", "merges",
           "mixed_lists", "run_merge", "tall_results"]

OPERATIONS = ("add", "subtract", "multiply", "mask")
EVERYTHING = 1 << 16
MIXED_LISTS = 14
FAULT_TRIALS = 48


def _image(session: Session, problem: Elementwise, **fields: int) -> runtime.Image:
    image, made = build_elementwise(problem, session.config, MEMORY_BYTES)
    describe(image, made | fields)
    return image


def run_merge(session: Session, image: runtime.Image) -> int:
    """Anywhere in memory; the ERROR register. Result or fault are compared with the model."""
    base = session.move(image)
    content, fields = bytearray(MEMORY_BYTES), fields_of(image, 0)
    for address, piece in image.pieces:
        content[address:address + len(piece)] = piece

    def values(address: int, count: int, kind: str) -> np.ndarray:
        place = (address - base) % STORAGE_BYTES
        return np.frombuffer(bytes(content[place:place + count * np.dtype(kind).itemsize]), kind)

    faults, arrays = run_elementwise(values, fields, scaled)
    error = session.run(image, base=base)
    assert ErrorCode(error & 0xFF) in (faults or {ErrorCode.NONE}), (hex(error), faults, fields)
    for address, expected in arrays:
        if expected:
            assert session.recorder.read_memory(address % STORAGE_BYTES, len(expected)) == expected, fields
    return error


def _refuses(session: Session) -> bool:
    """Whether the array has no merger; then it says so."""
    if session.config.elementwise:
        return False
    a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 6, 0.9, "dense")
    for opcode in (4, 5):
        assert session.run(edited(session.image(a, b), 0, opcode=opcode)) & 0xFF == ErrorCode.OPCODE
    return True


# ---- good ones -------------------------------------------------------------------------------------------


def _pairs(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Without an entry, with all of them, with rows that are empty at both ends or on one side, ..."""
    def drawn(rows: int, columns: int, density: float) -> np.ndarray:
        values = rng.integers(-128, 128, (rows, columns)) * (rng.random((rows, columns)) < density)
        return values.astype(np.int8)

    left, right = drawn(12, 9, 0.5), drawn(12, 9, 0.5)
    left[:3] = left[-4:] = 0
    right[:2] = right[-2:] = 0
    even, odd = np.zeros((2, 7, 13), np.int8)
    even[:, ::2], odd[:, 1::2] = 5, -7
    dense_row, thin = drawn(9, 150, 0.02), drawn(9, 150, 0.05)
    dense_row[4] = 7
    single = np.zeros((40, 12), np.int8)
    single[np.arange(40), rng.integers(0, 12, 40)] = rng.integers(1, 128, 40)
    late, often = np.zeros((2, 100, 12), np.int8)
    late[70, 3:9], often[::3, 5] = 3, 1
    same = drawn(6, 21, 0.4)
    return [(np.zeros((5, 4), np.int8), np.zeros((5, 4), np.int8)), (same, np.zeros_like(same)),
            (np.full((1, 1), -128, np.int8), np.full((1, 1), -128, np.int8)), (left, right), (even, odd),
            (same, same), (dense_row, thin), (drawn(1, 200, 0.3), drawn(1, 200, 0.3)),
            (drawn(40, 1, 0.3), drawn(40, 1, 0.6)), (single, drawn(40, 12, 0.2)), (late, often),
            (drawn(3, 300, 1.0), drawn(3, 300, 1.0)), (drawn(2, 700, 0.9), np.zeros((2, 700), np.int8))]


def _finish(session: Session, rows: int) -> dict[str, Any]:
    rng = session.rng
    return [{}, {"relu": True}, {"scale": float(10 ** rng.uniform(-3, 0)), "out_dtype": np.int8},
            {"scale": np.linspace(0.001, 0.9, rows)[:, None], "out_dtype": np.int8, "relu": True}
            ][int(rng.integers(0, 4))]


def merges(session: Session) -> None:
    """Every operation of matrices of every form and shape, with every finish."""
    if _refuses(session):
        return
    rng = session.rng
    for number, pair in enumerate([*_pairs(rng), *_pairs(rng)]):
        for operation in OPERATIONS:
            x, y = pair if rng.random() < 0.5 else pair[::-1]
            left: Any = x if rng.random() < 0.3 else sp.csr_array(x)
            right: Any = y if rng.random() < 0.3 else sp.csr_array(y)
            if operation != "multiply" and rng.random() < 0.5:
                # Values of int32, some so large that a sum wraps.
                left = sp.csr_array(x.astype(np.int32))
                left.data *= rng.choice([1, 16_909_320, -16_777_216, 1_000_003], left.nnz).astype(np.int32)
            narrow = EVERYTHING if rng.random() < 0.5 else 0
            with mock.patch.object(runtime, "INDEX16_COLUMNS", narrow):
                problem = as_elementwise(operation, left, right, **_finish(session, x.shape[0]))
                image = _image(session, problem, csr_index32=int(rng.integers(2)),
                               csr_drop_zeros=int(rng.integers(2)))
            session.any_memory()
            assert run_merge(session, image) == 0, (number, operation)


def tall_results(session: Session) -> None:
    """Results of so many rows and entries that each array takes several blocks of the writer, one after the
    other; and one matrix alone becoming CSR."""
    if not session.config.elementwise:
        return
    rng = session.rng
    for number, (rows, columns, density) in enumerate(((500, 3, 0.2), (300, 9, 0.3), (300, 20, 0.1),
                                                       (420, 2, 0.5), (130, 9, 1.0), (515, 5, 0.02))):
        x, y = (session.matrix(rows, columns, density, "csr") for _ in range(2))
        b = session.matrix(columns, 2 * number + 3, 0.4, "csr")
        dense = session.matrix(rows, columns, density, "dense")
        finish = _finish(session, rows)
        for operation, left, right in (("add", x, y), ("mask", x.astype(np.int32), y),
                                       ("convert", dense, None), ("convert", x, None)):
            image = _image(session, as_elementwise(operation, left, right, **finish),
                           csr_index32=int(rng.integers(2)), csr_drop_zeros=int(rng.integers(2)))
            session.any_memory()
            assert run_merge(session, image) == 0
        session.any_memory()
        needed = expected_result(x, b, out="csr", **finish).nnz
        session.product(x, b, out="csr", capacity=needed, **finish)


def backlogs(session: Session) -> None:
    """Results that a slow memory takes long to write, so that the merger waits; with columns of any size."""
    if not session.config.elementwise:
        return
    rng = session.rng
    for shape in ((3, 500), (40, 40), (1, 1500), (12, 120)):
        x, y = (session.matrix(*shape, 1.0, "dense") for _ in range(2))
        for gaps in (0.0, 0.6):
            session.memory(int(rng.integers(2, 40)), gaps)
            assert run_merge(session, _image(session, as_elementwise("add", x, y))) == 0
        far = []
        for values in (x[0, :700], y[0, :700]):
            columns = np.sort(rng.choice(1 << 20, len(values), replace=False))
            far.append(sp.csr_array((values, columns, [0, len(values)]), shape=(1, 1 << 20)))
        assert run_merge(session, _image(session, as_elementwise("subtract", *far))) == 0


def far_columns(session: Session) -> None:
    """Column indices of 32 bits; in each row the last one may be nearly the largest that there is."""
    if not session.config.elementwise:
        return
    rng, last = session.rng, (1 << 31) - 1
    for number, operation in enumerate(OPERATIONS * 3):
        shared = rng.integers(0, last, 12)
        sides = []
        for _ in range(2):
            rows = [np.unique(np.concatenate([rng.choice(shared, 4), rng.integers(0, last, int(count))]))
                    for count in rng.integers(0, 9, 5)]
            pointers = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
            values = rng.integers(1, 128, pointers[-1]).astype(np.int8)
            sides.append(sp.csr_array((values, np.concatenate(rows).astype(np.int32), pointers),
                                      shape=(5, last)))
        image = _image(session, as_elementwise(operation, *sides))
        largest = 0xFFFF_FFFF
        fields = fields_of(image, 0)
        for name, side in zip("ab" if operation in ("add", "multiply") else "ba", sides, strict=True):
            for end in side.indptr[1:][rng.random(5) < 0.6]:
                image.pieces.append((fields[f"{name}_indices"] + 4 * (int(end) - 1),
                                     int(rng.integers(last, largest)).to_bytes(4, "little")))
        # In the last ones of four, of one operand only the columns up to a place count.
        counts = {name: largest if number < 8 else int(rng.choice(shared)) for name in ("k_count", "n_count")}
        edited(image, 0, **counts, a_columns=largest, b_columns=largest)
        session.any_memory()
        assert run_merge(session, image) == 0


def chains(session: Session) -> None:
    """Operations on results that stay in memory, as the runtime runs them, within its windows."""
    if not session.config.elementwise:
        return
    device = session.device
    operands = [session.matrix(20, 30, 0.2, form) for form in ("csr", "csr", "dense", "csr")]
    total = sum((sp.csr_array(operand.astype(np.int64)) for operand in operands[1:]), sp.csr_array((20, 30)))
    for name, expected in (("add", operands[0].astype(np.int64) + total),
                           ("subtract", operands[0].astype(np.int64) - total)):
        session.any_memory()
        found = getattr(device, name)(*operands, scale=0.4, out_dtype=np.int8)
        session.look()
        wanted = golden.elementwise("convert", sp.csr_array(expected.astype(np.int64)), None,
                                    scale_words(0.4), False, np.int8)
        np.testing.assert_array_equal(found.toarray(), wanted.toarray())
    a, b, mask = (session.matrix(16, 16, density, "csr") for density in (0.3, 0.3, 0.5))
    for places in (mask, mask.toarray()):
        found = device.spgemm(a, b, mask=places)
        session.look()
        product = a.astype(np.int64) @ b.astype(np.int64)
        np.testing.assert_array_equal(found.toarray(), product.multiply(mask != 0).toarray())
    dense = session.matrix(11, 27, 0.3, "dense")
    np.testing.assert_array_equal(device.to_csr(dense).toarray(), dense)
    session.look()
    for name in ("WATCHDOG", *WINDOWS):
        session.write(name, register(name).reset)


def mixed_lists(session: Session) -> None:
    """Products and elementwise operations one behind the other, of which all memory is compared."""
    for seed in range(MIXED_LISTS):
        job = draw_job(session.config, seed)
        image = runtime.Image([(0, bytes(job.memory))], 0, len(job.descriptors))
        session.any_memory()
        assert session.run(image) == 0
        assert session.recorder.read_memory(0, RAW_BYTES) == job.expected


# ---- wrong ones ------------------------------------------------------------------------------------------


def _some(session: Session, operation: str | None = None) -> runtime.Image:
    """A job that is right: six rows of some entries each."""
    rng = session.rng
    operation = operation or str(rng.choice(OPERATIONS))
    x, y = (session.matrix(6, 24, 0.5, "csr") for _ in range(2))
    if operation != "multiply" and rng.random() < 0.5:
        x = sp.csr_array(x.astype(np.int32))
    with mock.patch.object(runtime, "INDEX16_COLUMNS", EVERYTHING if rng.random() < 0.5 else 0):
        return _image(session, as_elementwise(operation, x, y))


def merge_room(session: Session) -> None:
    """Room for just as many entries as there are, for fewer, and for none."""
    if not session.config.elementwise:
        return
    for operation in OPERATIONS:
        for dense in (False, True):
            x, y = session.matrix(15, 30, 0.6, "csr"), session.matrix(15, 30, 0.5, "csr")
            needed = golden.elementwise(operation, x, y, 0, False, np.int32).nnz
            for capacity in (needed, needed - 1, needed // 2, 1, 0):
                session.any_memory()
                problem = as_elementwise(operation, x, y.toarray() if dense else y, capacity=capacity)
                assert bool(run_merge(session, _image(session, problem))) == (capacity < needed)


def merge_faults(session: Session) -> None:
    """Pointers and indices that are wrong, in either operand, anywhere."""
    if not session.config.elementwise:
        return
    rng = session.rng
    for number in range(FAULT_TRIALS):
        image = _some(session)
        fields, name = fields_of(image, 0), "ab"[number % 2]
        size = 4 if fields[f"{name}_format"] == (2 if name == "a" else 3) else 2
        indices, pointers, nnz = (fields[f"{name}_{what}"] for what in ("indices", "pointers", "nnz"))
        content = next(piece for address, piece in image.pieces if address == indices)
        columns = np.frombuffer(content, f"<u{size}")
        # Neighbours in one row.
        rising = [place for place, (one, other) in enumerate(pairwise(columns)) if one < other]
        place, kind = int(rng.choice(rising)), number // 2 % 6
        if kind < 2:
            # The same column twice; columns that fall.
            both = [columns[place]] * 2 if kind else [columns[place + 1], columns[place]]
            image.pieces.append((indices + size * place, np.array(both, f"<u{size}").tobytes()))
        elif kind == 2:
            past = int(rng.choice([24, 25, 0xFFFF, 1 << 8 * size - 1]))
            image.pieces.append((indices + size * place, past.to_bytes(size, "little")))
        elif kind < 5:
            row = int(rng.choice([0, 2, 5]))
            wrong = int(rng.choice([0xFFFF_FFFF, nnz + 1, *([nnz - 1, 0] if row == 5 else [])]))
            image.pieces.append((pointers + 4 * row, wrong.to_bytes(4, "little")))
        else:
            field = f"{name}_{rng.choice(['nnz', 'first'])}"
            edited(image, 0, **{field: fields[field] + int(rng.choice([1, 2, 9]))})
        session.any_memory()
        run_merge(session, image)
        if number % 4 == 0:
            assert run_merge(session, _some(session)) == 0


def merge_errors(session: Session) -> None:
    """Every stream outside the memory, from its first beat or from a later one on."""
    if not session.config.elementwise:
        return
    names = [f"{matrix}_{array}" for matrix in "ab" for array in ("pointers", "indices", "values")]
    names += ["c_address", "c_indices", "c_pointers"]
    for operation in ("add", "mask"):
        for name in names:
            session.any_memory(STORAGE_BYTES)
            outside = OUTSIDE + int(session.rng.integers(0, 1 << 21)) * 64
            error = session.run(edited(_some(session, operation), 0, **{name: outside}), look=False)
            assert error & 0xFF == (ErrorCode.WRITE_BUS if name[0] == "c" else ErrorCode.READ_BUS)
        for part in range(1, 6):
            image = _some(session, operation)
            end = image.used_bytes * part // 6 // 64 * 64
            session.memory(latency=int(session.rng.integers(2, 40)), limit_bytes=end)
            session.run(image)
        session.memory()
        good = _some(session, operation)
        assert run_merge(session, good) == 0
        assert field_of(good, 0, "out_csr")
