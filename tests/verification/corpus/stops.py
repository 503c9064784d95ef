"""Windows, slow and broken memories, jobs that are ended before their time."""

from typing import Any

import numpy as np

from hdl.control import SLVERR
from hdl.registers import register
from sim.host_port import HostCommand
from sim.memory_faults import CHANNELS, MemoryFaults
from zerolane import runtime
from zerolane.device import expected_result
from zerolane.problem import as_problem

from .images import ADDRESSES, edited, field_of, fields_of
from .products import rows_of
from .session import MEMORY_BYTES, PATIENCE_CYCLES, STORAGE_BYTES, Session

__all__ = ["broken_memory", "endless", "held_results", "held_windows", "stops", "windows"]


def windows(session: Session) -> None:
    """Each array one block outside its window, at either end; and windows that just fit, anywhere."""
    bias = np.arange(6, dtype=np.int32)[:, None]
    for form, b_form in (("csr", "dense"), ("dense", "csr" if session.config.compressed_b else "dense")):
        a, b = session.matrix(6, 40, 0.5, form), session.matrix(40, 18, 0.5, b_form)
        plan = session.plan(a, b, k_cuts=(0, 20, 40), packed=b_form == "csr", bias=bias)
        for name in ADDRESSES:
            if not field_of(session.image(a, b, plan, bias=bias), 1, name):
                continue
            for register_name, step in (("LAST", -1), ("BASE", 64)):
                kind = "WRITE" if name == "c_address" else "READ"
                image = session.image(a, b, plan, bias=bias)
                base = session.move(image, spread=False)
                address = field_of(image, 1, name) // 64 * 64
                session.write(f"{kind}_{register_name}", address + step)
                session.run(image, base=base, look=False)
                session.write(f"{kind}_{register_name}", 0xFFFF_FFFF if register_name == "LAST" else 0)
            # This array alone, beyond all that may be read.
            image = session.image(a, b, plan, bias=bias)
            session.write("READ_LAST", MEMORY_BYTES - 1)
            last = MEMORY_BYTES - (3 if name.endswith("values") else 4)
            session.run(edited(image, 1, **{name: last}), look=False)
            session.write("READ_LAST", 0xFFFF_FFFF)
        session.product(a, b, plan=plan, bias=bias)
        for number in range(6):
            image = session.image(a, b, plan, bias=bias)
            base = session.move(image, spread=False)
            end = base + MEMORY_BYTES - 1
            for kind in ("READ", "WRITE"):
                session.write(f"{kind}_BASE", base)
                session.write(f"{kind}_LAST", end)
            if number % 2:
                # The descriptors themselves.
                session.write("READ_BASE", base + 64)
            session.run(image, base=base, look=number < 2)
            for kind in ("READ", "WRITE"):
                session.write(f"{kind}_BASE", 0)
                session.write(f"{kind}_LAST", 0xFFFF_FFFF)
    # Sizes whose arrays wrap around the end of memory.
    image = session.image(a, b, plan, bias=bias)
    for name in ("rows", "a_stride", "c_stride", "cin_stride", "b_stride"):
        for bit in (20, 24, 28, 31):
            image = session.image(a, b, plan, bias=bias)
            session.run_for(edited(image, 1, **{name: 1 << bit}), 900)
    session.product(a, b)


def broken_memory(session: Session) -> None:
    """An error on single beats, by number; channels that stop, for the watchdog to see."""
    bias = np.arange(9, dtype=np.int32)[:, None]
    a, b = session.matrix(9, 40, 0.5, "csr"), session.matrix(40, 18, 0.9, "dense")
    plan = session.plan(a, b, k_cuts=(0, 11, 20, 40), bias=bias)
    faults = [MemoryFaults(read_errors=True, first=beat, last=beat) for beat in (0, 5, 17, 30, 55, 80, 120)]
    faults += [MemoryFaults(write_errors=True, first=beat, last=beat) for beat in (0, 2, 9, 17, 40, 63)]
    faults += [MemoryFaults(frozen=(channel,), first=moves) for channel in CHANNELS for moves in (0, 45, 150)]
    session.write("WATCHDOG", 400)
    for number, fault in enumerate(faults):
        session.any_memory()
        image = session.image(a, b, plan, bias=bias)
        base = session.move(image)
        session.recorder.inject(fault)
        session.run(image, base=base, look=number % 5 == 0)
        session.read("STATUS")
        session.recorder.inject(None)
        if number % 5 == 0:
            session.product(a, b, bias=bias)
    # A job that waits until the memory has ended what another left: aborted, timed out, and run.
    session.write("WATCHDOG", 300)
    for way in (0, 1, 2, 3):
        session.memory()
        session.recorder.inject(MemoryFaults(frozen=("r",), first=40))
        if way == 3:
            # A soft reset that the memory does not let end.
            session.start(session.image(a, b, plan, bias=bias))
            session.recorder.run_cycles(150)
            session.write("CONTROL", 0b101)
            session.recorder.run_cycles(700)
            session.look()
        session.run(session.image(a, b, plan, bias=bias), look=False)
        image = session.image(a, b, plan, bias=bias)
        session.start(image)
        session.read("STATUS")
        if way == 0:
            session.write("CONTROL", 0b011)
        if way == 2:
            session.recorder.inject(None)
        session.recorder.wait_interrupt(PATIENCE_CYCLES)
        session.look()
        session.write("CONTROL", 0b101)
        session.recorder.inject(None)
        session.recorder.run_cycles(500)
        session.look()
        session.product(a, b, bias=bias)
    for cycles in (1, 130, 1 << 9, 1 << 20, 0):
        session.write("WATCHDOG", cycles)
        session.memory(latency=200)
        session.run(session.image(a, b, plan, bias=bias), look=False)
    session.write("WATCHDOG", register("WATCHDOG").reset)
    session.memory()
    session.product(a, b, bias=bias)


def held_windows(session: Session) -> None:
    """Windows are written to while a job runs, while it is over but its transfers are not, and after that:
    only then they change, before it is an error."""
    a, b = session.matrix(9, 40, 0.5, "csr"), session.matrix(40, 18, 0.9, "dense")
    names = [f"{kind}_{end}" for kind in ("READ", "WRITE") for end in ("BASE", "LAST")]
    session.memory()
    session.write("WATCHDOG", 300)
    session.recorder.inject(MemoryFaults(frozen=("r",), first=20))
    session.start(session.image(a, b))
    before = [session.read(name) for name in names]
    for busy in (1, 0):
        assert session.read("STATUS") & 1 == busy
        for name, value in zip(names, before, strict=True):
            answer = session.access(HostCommand.WRITE, register(name).address, value ^ 0x5540)
            assert answer["response"] == SLVERR
        assert [session.read(name) for name in names] == before
        session.recorder.run_cycles(700)
    session.recorder.inject(None)
    session.recorder.run_cycles(200)
    for name, value in zip(names, before, strict=True):
        session.write(name, value ^ 0x5540)
        assert session.read(name) == value ^ 0x5540
        session.write(name, value)
    session.write("WATCHDOG", register("WATCHDOG").reset)
    session.product(a, b)


def held_results(session: Session) -> None:
    """Results that the memory does not take for a long time, so that all queues fill; then it does."""
    options: dict[str, Any]
    for channel, columns, b_form in (("w", 16, "dense"), ("aw", 1, "dense"), ("w", 3, "csr"),
                                     ("w", 9, "dense")):
        for scaled in (False, True):
            lengths = [*([1, 0] * 30), *([2] * 60), *([0, 0, 1] * 10), *([5] * 30)]
            a, b = rows_of(lengths, 12), session.matrix(12, columns, 0.8, b_form)
            options = {"scale": 0.01, "out_dtype": np.int8} if scaled else {}
            plan = next(plan for plan in session.device.plans(a, b, **options) if not plan.transposed)
            image = session.image(a, b, plan, **options)
            session.memory(latency=5)
            base = session.move(image, spread=False)
            session.recorder.inject(MemoryFaults(frozen=(channel,), first=1))
            session.start(image, base=base)
            session.recorder.run_cycles(2500)
            session.recorder.inject(None)
            session.recorder.wait_interrupt(PATIENCE_CYCLES)
            assert session.read("ERROR") == 0
            content = session.recorder.read_memory((base + image.c_address) % STORAGE_BYTES, image.c_bytes)
            result = runtime.unpack_result(as_problem(a, b, **options), plan, image, content)
            np.testing.assert_array_equal(result, expected_result(a, b, **options))


def stops(session: Session) -> None:
    """Abort and soft reset in many cycles of a job; the next one is right."""
    a, b = session.matrix(12, 40, 0.5, "csr"), session.matrix(40, 18, 0.5, "csr")
    for control in (0b011, 0b101):
        session.write("CONTROL", control)
        session.recorder.run_cycles(20)
        session.look()
        for number, cycles in enumerate((1, 9, 33, 60, 91, 140, 177, 230, 320)):
            session.any_memory()
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40)))
            session.start(image)
            session.recorder.run_cycles(cycles)
            session.write("CONTROL", control)
            if control & 2:
                session.recorder.wait_interrupt(PATIENCE_CYCLES)
            session.recorder.run_cycles(150)
            session.look()
            if number % 3 == 0:
                session.product(a, b)


def endless(session: Session) -> None:
    """Sizes far beyond what can be simulated: looked at for a while, then aborted."""
    a, b = session.matrix(2, 8, 0.7, "dense"), session.matrix(8, 1, 0.9, "dense")
    c, d = session.matrix(4, 20, 0.7, "csr"), session.matrix(20, 9, 0.7, "csr")
    for bit in range(8, 29):
        # Rows on the spot and rows that follow each other; some more than the power of two: one that is lost
        # ends the job soon.
        for rows, stride in ((1 << bit | 1, 0), (1 << bit | 30, 8)):
            session.memory(latency=3, gaps=0.1)
            image = session.image(a, b, session.plan(a, b))
            session.run_for(edited(image, 0, rows=rows, a_stride=stride, c_stride=4), 600)
    for bit in range(12, 29):
        for name in ("a_nnz", "rows", *(("b_nnz",) if session.config.compressed_b else ())):
            image = session.image(c, d, session.plan(c, d, packed=session.config.compressed_b))
            many = 1 << bit | 40 * (bit % 2)
            session.run_for(edited(image, 0, c_address=0, c_stride=64, **{name: many}), 500)
            session.run_for(edited(image, 0, **{name: many ^ 40}), 500)
    # One row of zeros.
    for bit in range(14, 29):
        image = session.image(c, d, session.plan(c, d))
        fields, many = fields_of(image, 0), 1 << bit | 40
        image.pieces.append((fields["a_pointers"], (many + fields["a_first"]).to_bytes(4, "little") * 4))
        session.run_for(edited(image, 0, a_nnz=many, a_indices=0xF0_0000, a_values=0xF8_0000), 600)
    session.memory()
    session.product(c, d)
