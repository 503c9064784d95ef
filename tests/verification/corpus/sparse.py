"""Results in CSR."""

import numpy as np

from hdl.registers import ErrorCode
from zerolane import runtime
from zerolane.device import expected_result
from zerolane.problem import as_problem

from .images import edited
from .session import MEMORY_BYTES, STORAGE_BYTES, Session

__all__ = ["csr_results"]


def csr_results(session: Session) -> None:
    """Of every form of operands and every finish, empty rows, full rows, room enough and not, blocks of the
    writer that are full. An array that makes none refuses them."""
    if not session.config.csr_out:
        a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 6, 0.9, "dense")
        assert session.run(edited(session.image(a, b), 0, out_csr=1)) & 0xFF == ErrorCode.FIELD
        return
    shapes = (((9, 20, 13), "csr", "csr", 0.2), ((40, 12, 31), "odd", "csr", 0.1),
              ((7, 9, 5), "csr", "dense", 0.5), ((6, 10, 64), "dense", "csr", 0.3),
              ((70, 8, 3), "csr", "csr", 0.0), ((5, 9, 40), "csr", "csr", 1.0),
              ((40, 6, 60), "csr", "dense", 0.6))
    for (rows, inner, columns), a_form, b_form, density in shapes:
        a, b = session.matrix(rows, inner, density, a_form), session.matrix(inner, columns, density, b_form)
        scale = np.linspace(0.001, 0.1, rows)[:, None]
        for options in ({}, {"relu": True}, {"scale": scale, "out_dtype": np.int8},
                        {"scale": 0.01, "out_dtype": np.int8}):
            session.any_memory()
            session.product(a, b, out="csr", **options)
        _narrow(session, a, b)
        needed = expected_result(a, b, out="csr").nnz
        for capacity in sorted({0, needed // 2, max(0, needed - 1)}):
            image = session.image(a, b, out="csr", capacity=capacity)
            error = session.run(image)
            assert error & 0xFF == (ErrorCode.OUTPUT_FULL if needed > capacity else ErrorCode.NONE)
            session.product(a, b)
    _refused(session)


def _narrow(session: Session, a, b) -> None:
    """Column indices of 16 bits, and sums kept that are zero: the runtime asks for neither."""
    problem = as_problem(a, b, out="csr")
    image = edited(runtime.build_image(problem, session.plan(a, b, out="csr"), MEMORY_BYTES), 0,
                   csr_index32=0, csr_drop_zeros=0)
    base = session.move(image)
    assert session.run(image, base=base, look=False) == 0
    at = base % STORAGE_BYTES
    pointers = np.frombuffer(session.recorder.read_memory(
        at + image.csr["c_pointers"], 4 * (problem.rows + 1)), "<i4")
    entries = int(pointers[-1])
    if not entries:
        return
    indices = np.frombuffer(session.recorder.read_memory(at + image.csr["c_indices"], 2 * entries), "<u2")
    values = np.frombuffer(session.recorder.read_memory(at + image.c_address, 4 * entries), "<i4")
    dense = np.zeros((problem.rows, problem.columns), np.int32)
    dense[np.repeat(np.arange(problem.rows), np.diff(pointers)), indices] = values
    np.testing.assert_array_equal(dense, expected_result(a, b, out="csr").toarray())


def _refused(session: Session) -> None:
    """What such a result cannot be, and more room than there is memory."""
    a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 18, 0.9, "dense")
    for values in ({"accumulate": 1}, {"out_raw": 1}, {"row_bias": 1}, {"n_start": 0xFFFF_FFFF},
                   {"group_log2": 1}, {"c_capacity": 0xFFFF_FFFF}):
        session.any_memory()
        assert session.run(edited(session.image(a, b, out="csr"), 0, **values)) != 0, values
    session.product(a, b, out="csr")
