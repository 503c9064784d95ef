"""Results in CSR that are made a block of columns at a time, and each step of it by itself."""

from itertools import pairwise

import numpy as np

from hdl.layouts import CsrMode
from hdl.registers import ErrorCode
from sim import golden
from sim.memory_faults import MemoryFaults
from sim.models.csr_write import csr_writes
from zerolane import runtime
from zerolane.scaling import scale_words

from .images import edited, fields_of
from .session import MEMORY_BYTES, PATIENCE_CYCLES, STORAGE_BYTES, Session

__all__ = ["blocks_of_columns", "earlier_entries", "held_entries"]

TRIALS = 56
SCALE = 0.01
ROWS = 7
VALUES, INDICES = 0x40_0000, 0xA0_0000
"""Far from the job itself, and from each other."""

HELD_ROWS = 90


def blocks_of_columns(session: Session) -> None:
    """More columns than a block has, with every finish: counted first, then put in their places."""
    if not session.config.csr_out:
        return
    most = session.config.max_block_columns
    shapes = (9, 14, most + 1), (21, 6, 2 * most + 9), (4, 20, 3 * most)
    for number, (rows, inner, columns) in enumerate(shapes):
        a = session.matrix(rows, inner, 0.3, "csr" if number else "odd")
        b = session.matrix(inner, columns, 0.15, "csr" if number < 2 else "dense")
        for options in ({}, {"relu": True}, {"scale": SCALE, "out_dtype": np.int8}):
            session.any_memory()
            session.product(a, b, out="csr", **options)


def earlier_entries(session: Session) -> None:
    """Rows that have any number of entries already, up to as many as arrays of all of memory hold; room for
    these and more, for some of them, and for none."""
    if not session.config.csr_out:
        return
    for number in range(TRIALS):
        mode = CsrMode.PLACE if number % 2 else list(CsrMode)[number // 2 % 3]
        a, b = session.matrix(ROWS, 9, 0.4, "csr"), session.matrix(9, 13, 0.3, "csr")
        narrow = number // 4 % 2
        finish = {"scale": SCALE, "out_dtype": np.int8} if narrow else {}
        image = session.image(a, b, out="csr", **finish)
        result = golden.matmul(a.astype(np.int8), b.astype(np.int8))
        if narrow:
            result = golden.apply_scale(result, int(scale_words(SCALE)))
        places = image.place(4 * ROWS)
        edited(image, 0, csr_mode=mode.value, accumulate=int(mode is not CsrMode.WHOLE), cin_address=places,
               csr_index32=number // 8 % 2, csr_drop_zeros=1, c_address=VALUES, c_indices=INDICES)
        needed, writes = _draw_numbers(session, image, result, places)
        session.any_memory()
        error = session.run(image)
        assert error & 0xFF == (ErrorCode.NONE if needed is None else ErrorCode.OUTPUT_FULL), hex(error)
        if needed is not None:
            assert session.read("ERROR_ADDRESS") == needed
        for address, content in writes:
            found = session.recorder.read_memory(address % STORAGE_BYTES, len(content)) if content else b""
            # What there was no room for ends the job, whatever has been written by then.
            assert found == content or needed is not None, (mode, hex(address))


def held_entries(session: Session) -> None:
    """Many short rows with places of their own that the memory does not take, or not answer, for a long time,
    so that all queues fill; then it does."""
    if not session.config.csr_out:
        return
    rng = session.rng
    for number, channel in enumerate(("w", "aw", "b") * 2):
        a, b = session.matrix(HELD_ROWS, 9, 0.3, "csr"), session.matrix(9, 13 - 4 * (number // 3), 0.2, "csr")
        image = session.image(a, b, out="csr")
        result = golden.matmul(a.astype(np.int8), b.astype(np.int8))
        # Apart in the memory, in which many addresses are one place.
        numbers = ((rng.integers(0, 1 << 7, HELD_ROWS) << 22) + (rng.permutation(HELD_ROWS) << 9)
                   + rng.integers(0, 400, HELD_ROWS)).astype(np.uint32)
        edited(image, 0, csr_mode=CsrMode.PLACE.value, accumulate=1, c_capacity=1 << 29,
               cin_address=image.put(numbers), csr_index32=number % 2, csr_drop_zeros=1, c_address=VALUES,
               c_indices=INDICES)
        _, writes = csr_writes(fields_of(image, 0), result, result != 0, numbers)
        session.memory(latency=5)
        session.recorder.inject(MemoryFaults(frozen=(channel,), first=number // 3))
        session.start(image)
        session.recorder.run_cycles(2500)
        session.recorder.inject(None)
        session.recorder.wait_interrupt(PATIENCE_CYCLES)
        assert session.read("ERROR") == 0
        for address, content in writes:
            if content:
                found = session.recorder.read_memory(address % STORAGE_BYTES, len(content))
                assert found == content, hex(address)


def _draw_numbers(session: Session, image: runtime.Image, result: np.ndarray, places: int
                  ) -> tuple[int | None, list[tuple[int, bytes]]]:
    """Puts earlier numbers and a capacity into the image, such that no two rows meet in the memory, in which
    many addresses are one place; what `csr_writes` says of them."""
    rng, fields = session.rng, fields_of(image, 0)
    largest = max(4 if fields["csr_index32"] else 2, 1 if fields["out_int8"] else 4)
    room = ((1 << 32) - STORAGE_BYTES) // largest
    top = room + 4 if fields["csr_mode"] == CsrMode.PLACE.value else (1 << 32) - 1
    for _ in range(1000):
        capacity = room if rng.random() < 0.7 else int(2 ** rng.uniform(2, 30)) % room
        numbers = np.array([min(top, int(2 ** rng.uniform(0, 32))) for _ in range(ROWS)], np.uint32)
        if rng.random() < 0.4:
            numbers[rng.integers(ROWS)] = capacity - int(rng.integers(0, 4))
        found, writes = csr_writes(fields | {"c_capacity": capacity}, result, result != 0,
                                   numbers if fields["accumulate"] else None)
        starts = sorted((address % STORAGE_BYTES, len(content)) for address, content in writes if content)
        if all(start + length <= behind for (start, length), (behind, _)
               in pairwise([(0, MEMORY_BYTES), *starts[1:], (STORAGE_BYTES, 0)])):
            edited(image, 0, c_capacity=capacity)
            image.pieces.append((places, numbers.astype("<u4").tobytes()))
            return found, writes
    raise AssertionError("rows find no places of their own")
