"""Elementwise operations in lists."""

import numpy as np
import scipy.sparse as sp

from hdl.descriptor import DESCRIPTOR_BYTES
from zerolane.elementwise import as_elementwise, build_elementwise, describe

from .images import content_of
from .session import MEMORY_BYTES, Session

__all__ = ["waiting_merges"]


def waiting_merges(session: Session) -> None:
    """Two jobs in a list: B of the first one goes on long after its A has ended, and the second one waits."""
    if not session.config.elementwise:
        return
    for columns in (40, 700):
        b = sp.csr_array(session.matrix(1, columns, 1.0, "dense"))
        problem = as_elementwise("add", sp.csr_array((1, columns), dtype=np.int8), b)
        image, made = build_elementwise(problem, session.config, MEMORY_BYTES)
        describe(image, made)
        job = bytes(content_of(image))
        image.descriptor_address, image.descriptor_count = image.place(2 * DESCRIPTOR_BYTES), 2
        image.pieces.append((image.descriptor_address, 2 * job))
        session.any_memory()
        assert session.run(image) == 0
        found = session.recorder.read_memory(image.c_address, 4 * b.nnz)
        np.testing.assert_array_equal(np.frombuffer(found, "<i4"), b.data)
