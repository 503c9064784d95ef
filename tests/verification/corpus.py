"""The jobs that mutants and coverage are measured with: of every kind, right and wrong, on every memory.

Each job checks its result itself (against the golden model, or that the expected error is reported); what a
Recorder writes down meanwhile is what every mutant must do, to the cycle.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np
import scipy.sparse as sp

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS
from hdl.layouts import AFormat, BFormat
from hdl.registers import COUNTERS, REGISTERS, Access, ErrorCode, config_values, register
from sim.host_port import HostCommand
from sim.memory import gap_threshold
from sim.memory_faults import CHANNELS, MemoryFaults
from tests.products import draw_matrix, draw_options
from zerolane import runtime
from zerolane.device import Device, expected_result
from zerolane.plan import Plan
from zerolane.problem import as_problem

from .recording import Recorder

__all__ = ["ADDRESS_SPACE_BYTES", "JOBS", "MEMORY_BYTES", "STORAGE_BYTES", "Session", "corpus"]

MEMORY_BYTES = 1 << 15
"""What a job may use and what is looked at after it."""

STORAGE_BYTES = 1 << 24
"""Behind the memory. Addresses that differ in higher bits only are the same place..."""

ADDRESS_SPACE_BYTES = 1 << 32
"""...so that jobs can lie anywhere."""

RANDOM_JOBS = 40
MOST_PLANS = 7
LATENCIES = (2, 3, 5, 9, 20, 32, 61)
GAPS = (0.0, 0.0, 0.0, 0.1, 0.3, 0.6)
PATIENCE_CYCLES = 60_000
OUTSIDE = 0xF000_0000


@dataclass
class Session:
    """One recording: the array, the runtime on top of it, and a source of random numbers."""

    config: Config
    recorder: Recorder
    device: Device
    rng: np.random.Generator

    # ---- the host ----

    def read(self, name: str) -> int:
        return self.recorder.read_register(register(name).address)

    def write(self, name: str, value: int) -> None:
        self.recorder.write_register(register(name).address, value)

    def access(self, kind: Any, address: int, data: int = 0) -> dict[str, int]:
        """Any access, also one that is refused."""
        return self.recorder._run(kind.value, address, data)

    def look(self, base: int = 0) -> None:
        """Read every register, and the job's memory."""
        for entry in REGISTERS:
            self.access(HostCommand.READ, entry.address)
        self.recorder.read_memory(base % STORAGE_BYTES, MEMORY_BYTES)

    # ---- the memory ----

    def memory(self, latency: int = 8, gaps: float = 0.0, limit_bytes: int = ADDRESS_SPACE_BYTES) -> None:
        self.recorder.set_memory(latency_cycles=latency, gap_threshold=gap_threshold(gaps),
                                 limit_words=limit_bytes // self.config.port_bytes)

    def any_memory(self, limit_bytes: int = ADDRESS_SPACE_BYTES) -> None:
        self.memory(int(self.rng.choice(LATENCIES)), float(self.rng.choice(GAPS)), limit_bytes)

    # ---- jobs ----

    def product(self, a: Any, b: Any, plan: Plan | None = None, **options: Any) -> None:
        """Anywhere in memory; its result against the golden model."""
        problem = as_problem(a, b, **options)
        plan = plan or self.device.plans(a, b, **options)[0]
        image = runtime.build_image(problem, plan, MEMORY_BYTES)
        base = self.move(image)
        assert self.run(image, base=base, look=False) == 0, plan.label()
        self.recorder.read_memory(base % STORAGE_BYTES, MEMORY_BYTES)
        cycles = [self.read(name)
                  for name in ("CYCLES", *(f"COUNT_{name.upper()}" for name, _ in COUNTERS))]
        assert cycles[0] == sum(cycles[1:])
        if problem.csr:
            found = runtime.read_csr(problem, image, lambda address, length: self.recorder.read_memory(
                (base + address) % STORAGE_BYTES, length))
            expected = expected_result(a, b, **options)
            for name in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name),
                                              err_msg=plan.label())
            return
        content = self.recorder.read_memory((base + image.c_address) % STORAGE_BYTES, image.c_bytes)
        np.testing.assert_array_equal(runtime.unpack_result(problem, plan, image, content),
                                      expected_result(a, b, **options), strict=True, err_msg=plan.label())

    def move(self, image: runtime.Image, spread: bool = True) -> int:
        """Put a job somewhere else, its strides (`spread`) and row pointers, too; where it begins."""
        rng = self.rng
        base = (int(rng.integers(0, 48)) * STORAGE_BYTES
                + int(rng.integers(0, STORAGE_BYTES // MEMORY_BYTES)) * MEMORY_BYTES)
        count = image.descriptor_count
        descriptors = [fields_of(image, number) for number in range(count)]
        # The first entry of a CSR array may have any number.
        for matrix, start in (("a", "rows"), ("b", "k_count")):
            first, shifted = int(rng.integers(0, 1 << 31)), set()
            for fields in descriptors:
                if not is_csr(fields, matrix):
                    continue
                pointers = fields[f"{matrix}_pointers"]
                fields[f"{matrix}_first"] += first
                shifted |= {pointers + 4 * row for row in range(-1, fields[start])}
                if rng.random() < 0.5:
                    fields[f"{matrix}_columns"] |= int(rng.integers(0, 1 << 32)) & ~0xFFFF
            image.pieces = [(address, add_to_words(address, content, shifted, first))
                            for address, content in image.pieces]
        for name in ("a_stride", "b_stride", "c_stride", "cin_stride"):
            more = int(rng.integers(0, 3)) * STORAGE_BYTES * spread
            for fields in descriptors:
                rows = fields["k_count"] if name == "b_stride" else fields["rows"]
                if fields[name] and rows * more < 1 << 30 and not is_run(fields, name):
                    fields[name] += more
        for number, fields in enumerate(descriptors):
            moved = {name: fields[name] + base for name in ADDRESSES}
            edited(image, number, **{name: value & 0xFFFF_FFFF for name, value in (fields | moved).items()})
        return base

    def matrix(self, rows: int, columns: int, density: float, form: str) -> Any:
        return draw_matrix(self.rng, rows, columns, density, form)

    def image(self, a: Any, b: Any, plan: Plan | None = None, **options: Any) -> runtime.Image:
        problem = as_problem(a, b, **options)
        return runtime.build_image(problem, plan or self.plan(a, b, **options), MEMORY_BYTES)

    def plan(self, a: Any, b: Any, k_cuts: tuple[int, ...] | None = None, packed: bool = False,
             **options: Any) -> Plan:
        """The best plan that streams A, dense or packed tile, cut as asked."""
        plans = self.device.plans(a, b, **options)
        plan = next(plan for plan in plans if not plan.transposed and plan.packed == packed)
        return replace(plan, k_cuts=k_cuts) if k_cuts else plan

    def put(self, image: runtime.Image, base: int = 0) -> None:
        for address, content in image.pieces:
            self.recorder.write_memory((address + base) % STORAGE_BYTES, content)

    def start(self, image: runtime.Image, count: int | None = None, base: int = 0) -> None:
        """Put the image into memory and ring the doorbell."""
        self.put(image, base)
        self.write("IRQ", 1)
        self.write("CONTROL", 1)
        self.write("DESCRIPTOR", image.descriptor_address + base)
        self.write("COUNT", image.descriptor_count if count is None else count)
        self.write("DOORBELL", 1)

    def run_for(self, image: runtime.Image, cycles: int) -> None:
        """Start it, and abort what is not done by then."""
        self.start(image)
        self.recorder.run_cycles(cycles)
        if self.read("STATUS") & 1:
            self.write("CONTROL", 0b011)
            self.recorder.wait_interrupt(PATIENCE_CYCLES)
        for name in ("ERROR", "ERROR_ADDRESS", "COMPLETED", "MAC_WORDS", "READ_BEATS"):
            self.read(name)

    def run(self, image: runtime.Image, count: int | None = None, base: int = 0, look: bool = True) -> int:
        """Put the image into memory and run its descriptors; the ERROR register."""
        self.start(image, count, base)
        self.recorder.wait_interrupt(PATIENCE_CYCLES)
        error = self.read("ERROR")
        if look:
            self.look(base)
        return error


FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}
ADDRESSES = [name for name in FIELDS
             if name.rpartition("_")[2] in ("pointers", "indices", "values", "address")]


def is_csr(fields: dict[str, int], matrix: str) -> bool:
    dense = (AFormat.DENSE,) if matrix == "a" else (BFormat.DENSE, BFormat.DENSE_PACKED)
    return fields[f"{matrix}_format"] not in [form.value for form in dense]


def is_run(fields: dict[str, int], name: str) -> bool:
    """Rows that follow each other without a gap, which are read and written in another way."""
    width = {"a_stride": fields["k_count"], "b_stride": fields["n_count"]}.get(name)
    return fields[name] == width if width else fields[name] % 8 == 0


def add_to_words(address: int, content: bytes, places: set[int], number: int) -> bytes:
    """Memory contents with a number added to the words at some addresses."""
    if not any(address <= place < address + len(content) for place in places):
        return content
    words = np.frombuffer(content, "<u4").copy()
    for place in places:
        if address <= place < address + len(content):
            words[(place - address) // 4] += np.uint32(number)
    return words.tobytes()


def content_of(image: runtime.Image) -> bytearray:
    """The descriptors' bytes."""
    return bytearray(dict(image.pieces)[image.descriptor_address])


def edited(image: runtime.Image, number: int, **values: int) -> runtime.Image:
    """The image with fields of a descriptor changed."""
    content = content_of(image)
    for name, value in values.items():
        field = FIELDS[name]
        start = number * DESCRIPTOR_BYTES + 4 * field.word
        word = int.from_bytes(content[start:start + 4], "little")
        word = word & ~(((1 << field.bits) - 1) << field.offset) | value << field.offset
        content[start:start + 4] = word.to_bytes(4, "little")
    image.pieces.append((image.descriptor_address, bytes(content)))
    return image


def fields_of(image: runtime.Image, number: int) -> dict[str, int]:
    content = content_of(image)[number * DESCRIPTOR_BYTES:(number + 1) * DESCRIPTOR_BYTES]
    words = np.frombuffer(content, "<u4")
    return {name: int(words[field.word]) >> field.offset & ((1 << field.bits) - 1)
            for name, field in FIELDS.items()}


def field_of(image: runtime.Image, number: int, name: str) -> int:
    return fields_of(image, number)[name]


# ---- the control port ----------------------------------------------------------------------------------


def registers(session: Session) -> None:
    """Every address read and written, with every strobe, the host slow in every channel."""
    for name, value in config_values(session.config).items():
        assert session.read(name) == value
    holds: list[dict[str, int]] = [{}, {"hold_aw": 3}, {"hold_w": 3}, {"hold_b": 4, "hold_r": 4},
                                   {"hold_ar": 2, "hold_aw": 1, "hold_w": 2, "hold_b": 1, "hold_r": 2}]
    for hold in holds:
        session.recorder.set_knobs(**{f"hold_{channel}": 0 for channel in ("aw", "w", "b", "ar", "r")} | hold)
        for strobe in (15, 0, 1, 2, 4, 8, 6):
            session.recorder.set_knobs(strobe=strobe)
            for name in ("DESCRIPTOR", "COUNT", "CONTROL", "IRQ"):
                value = int(session.rng.integers(0, 1 << 32)) & ~7
                session.access(HostCommand.WRITE, register(name).address, value)
                session.access(HostCommand.READ, register(name).address)
    session.recorder.set_knobs(strobe=15, hold_aw=0, hold_w=0, hold_b=0, hold_ar=0, hold_r=0)
    for entry in REGISTERS:
        if entry.access is Access.RO:
            session.access(HostCommand.WRITE, entry.address, 0xFFFF_FFFF)
    for address in range(0, 256, 4):
        session.access(HostCommand.READ, address + int(session.rng.integers(0, 4)))
        if all(entry.address != address for entry in REGISTERS):
            session.access(HostCommand.WRITE, address, 0xFFFF_FFFF)
    session.look()


def doorbells(session: Session) -> None:
    """Strobes, a doorbell while busy, a polled job without interrupt, the interrupt switched and cleared."""
    a, b = session.matrix(5, 20, 0.6, "csr"), session.matrix(20, 9, 0.9, "dense")
    image = session.image(a, b)
    session.put(image)
    session.write("IRQ", 1)
    session.write("CONTROL", 0)
    session.write("DESCRIPTOR", image.descriptor_address)
    session.write("COUNT", image.descriptor_count)
    session.recorder.set_knobs(strobe=0)
    session.write("DOORBELL", 1)
    session.recorder.run_cycles(20)
    assert session.read("STATUS") & 1 == 0
    for strobe in (8, 1):
        session.recorder.set_knobs(strobe=strobe)
        session.write("DOORBELL", 0)
        session.recorder.set_knobs(strobe=15)
        for _ in range(2):
            session.write("DOORBELL", 1)
            session.write("DESCRIPTOR", 0x7C00)
            session.read("COMPLETED")
            assert session.read("STATUS") & 1
        # Windows cannot be changed now.
        for name in ("READ_BASE", "READ_LAST", "WRITE_BASE", "WRITE_LAST"):
            session.access(HostCommand.WRITE, register(name).address, 0x1234_5678)
            session.read(name)
        session.recorder.run_cycles(2000)
        assert session.read("STATUS") == 0b010 and session.read("ERROR") == 0
        session.look()
        session.write("DESCRIPTOR", image.descriptor_address)
    session.access(HostCommand.WAIT, 0, 10)
    session.write("CONTROL", 1)
    session.recorder.wait_interrupt(10)
    session.recorder.set_knobs(strobe=14)
    session.write("IRQ", 1)
    session.recorder.wait_interrupt(10)
    session.recorder.set_knobs(strobe=15)
    session.write("IRQ", 0xFFFF_FFFE)
    session.recorder.wait_interrupt(10)
    session.write("IRQ", 1)
    session.access(HostCommand.WAIT, 0, 10)


# ---- products ------------------------------------------------------------------------------------------


def finishes(session: Session) -> None:
    """Every form with every finish."""
    forms = [((11, 45, 37), "csr", "dense"), ((9, 30, 13), "dense", "csr"), ((12, 40, 21), "csr", "csr"),
             ((13, 45, 17), "odd", "odd"), ((50, 45, 1), "csr", "dense"), ((13, 30, 41), "dense", "dense"),
             ((30, 23, 2), "csr", "dense")]
    cases = [("row", "row", True), ("column", "one", False), (None, None, False), ("one", "row", True),
             ("row", None, True), (None, "one", True)]
    for number, ((rows, inner, columns), a_form, b_form) in enumerate(forms):
        a = session.matrix(rows, inner, 0.3, a_form)
        b = session.matrix(inner, columns, 0.3 if b_form != "dense" else 0.95, b_form)
        for case in cases[number % 2::2]:
            session.any_memory()
            session.product(a, b, **draw_options(session.rng, rows, columns, *case))


def csr_results(session: Session) -> None:
    """Results in CSR: of every form of operands, empty rows, full rows, room enough and not."""
    if not session.config.csr_out:
        return
    for (rows, inner, columns), a_form, b_form, density in (
            ((9, 20, 13), "csr", "csr", 0.2), ((40, 12, 31), "odd", "csr", 0.1),
            ((7, 9, 5), "csr", "dense", 0.5), ((6, 10, 64), "dense", "csr", 0.3),
            ((70, 8, 3), "csr", "csr", 0.0), ((5, 9, 40), "csr", "csr", 1.0)):
        a, b = session.matrix(rows, inner, density, a_form), session.matrix(inner, columns, density, b_form)
        for options in ({}, {"relu": True}, {"scale": np.linspace(0.001, 0.1, rows)[:, None],
                                             "out_dtype": np.int8}):
            session.any_memory()
            session.product(a, b, out="csr", **options)
        needed = expected_result(a, b, out="csr").nnz
        for capacity in {0, needed // 2, max(0, needed - 1)}:
            problem = as_problem(a, b, out="csr", capacity=capacity)
            plan = session.device.plans(a, b, out="csr")[0]
            error = session.run(runtime.build_image(problem, plan, MEMORY_BYTES))
            assert error & 0xFF == (ErrorCode.OUTPUT_FULL if needed > capacity else ErrorCode.NONE)
            session.product(a, b)


def formats(session: Session) -> None:
    """Every format of A with every format of B, P_k and number of rows a word."""
    config = session.config
    everything = 1 << 16
    # K, N, and the most columns that 16-bit indices are used for: both narrow, both wide, only A's, only B's.
    for inner, columns, narrow in ((20, 13, everything), (20, 13, 0), (12, 21, 15), (20, 13, 15)):
        with mock.patch.object(runtime, "INDEX16_COLUMNS", narrow):
            for a_form in ("csr", "dense"):
                for b_form, packed in (("dense", False), ("dense", True), ("csr", True)):
                    if packed and not config.compressed_b:
                        continue
                    a, b = session.matrix(5, inner, 0.4, a_form), session.matrix(inner, columns, 0.4, b_form)
                    base = next(plan for plan in session.device.plans(a, b) if not plan.transposed)
                    words = -(-columns // config.lanes)
                    for pk in range(config.pe_bits + 1):
                        slices = config.pes >> pk
                        slice_words = 1 << (-(-words // slices) - 1).bit_length()
                        session.any_memory()
                        session.product(a, b, plan=replace(
                            base, packed=packed, densified=False, pk_log2=pk, group_log2=0,
                            slice_words=slice_words, k_cuts=(0, inner), whole=True, block_columns=columns))
                for group in range(1, config.lane_bits + 1):
                    few = config.lanes >> group
                    a, b = session.matrix(5, inner, 0.4, a_form), session.matrix(inner, few, 0.9, "dense")
                    base = next(plan for plan in session.device.plans(a, b) if not plan.transposed)
                    session.product(a, b, plan=replace(
                        base, packed=False, densified=False, pk_log2=config.pe_bits, group_log2=group,
                        slice_words=1, k_cuts=(0, inner), whole=True, block_columns=few))


def plans(session: Session) -> None:
    """Every plan of some products, also with sums through memory."""
    problems = [(14, 60, 37, "csr", "dense"), (12, 50, 20, "odd", "odd"), (24, 40, 1, "csr", "dense"),
                (9, 40, 3, "dense", "csr"), (9, 24, 20, "dense", "dense")]
    for rows, inner, columns, a_form, b_form in problems:
        a, b = session.matrix(rows, inner, 0.3, a_form), session.matrix(inner, columns, 0.5, b_form)
        options = draw_options(session.rng, rows, columns, "column", "one" if inner % 20 else None, True)
        for plan in session.device.plans(a, b, **options)[:MOST_PLANS]:
            session.any_memory()
            session.product(a, b, plan=plan, **options)


def cuts(session: Session) -> None:
    """Many tiles: each half in turn, sums through memory at once after they were written."""
    for a_form, b_form, columns in (("csr", "dense", 9), ("dense", "csr", 18), ("csr", "csr", 13),
                                    ("csr", "dense", 1)):
        a, b = session.matrix(4, 41, 0.5, a_form), session.matrix(41, columns, 0.5, b_form)
        for plan in session.device.plans(a, b, bias=5)[:MOST_PLANS]:
            session.any_memory()
            session.product(a, b, plan=replace(plan, k_cuts=(0, 1, 2, 16, 18, 21, 22, 41)), bias=5)


def rows_of(lengths: list[int], columns: int) -> sp.csr_array:
    a = np.zeros((len(lengths), columns), np.int8)
    for row, length in enumerate(lengths):
        a[row, :length] = np.arange(1, length + 1)
    return sp.csr_array(a)


def row_lengths(session: Session) -> None:
    """Empty and full rows in any order, one column and more."""
    for lengths in ([0], [37], [0] * 9, [0, 0, 0, 37, 0, 0, 0], [37] + [0] * 70, [0] * 70 + [37], [1, 0] * 20,
                    [0, 37] * 5, [1] * 33, [4] * 12, [1, 2, 3, 0, 5] * 4,
                    [37] * 6 + [0] * 600 + [1]):
        for columns in (1, 3, 29) if len(lengths) < 100 else (1, 7):
            b = session.rng.integers(-128, 128, (37, columns)).astype(np.int8)
            session.any_memory()
            session.product(rows_of(lengths, 37), b, bias=-3)


def extremes(session: Session) -> None:
    """Largest values, sums that wrap, scales at their ends."""
    a, b = np.full((5, 70), -128, np.int8), np.full((70, 9), -128, np.int8)
    b[:, ::2] = 127
    bias = np.array([[-(1 << 31)], [(1 << 31) - 1], [0], [-1], [1 << 30]], np.int32)
    session.memory()
    for left in (sp.csr_array(a), a):
        for relu in (False, True):
            session.product(left, b, bias=bias, relu=relu)
    scaled = as_problem(a, b, scale=1.0, out_dtype=np.int8)
    assert scaled.out_int8
    for scale in (1e-9, 1e-7, 3e-5, 1e-3, 0.1, 1.0):
        session.product(a, b, bias=bias, scale=scale, out_dtype=np.int8)
        # Every lane has sums of either sign.
        session.product(a, np.roll(b, 1, axis=1), bias=bias, scale=scale, out_dtype=np.int8)
        session.product(a, b, relu=True, scale=np.array([[scale], [1e-3], [1.0], [1e-5], [0.5]]),
                        out_dtype=np.int8)


def widest(session: Session) -> None:
    """As many columns as one pass can make, and some fewer; every finish that takes another way."""
    for fewer in (0, 1, session.config.lanes):
        columns = session.config.max_block_columns - fewer
        a, b = session.matrix(3, 6, 0.8, "csr"), session.matrix(6, columns, 0.9, "dense")
        for bias, scale in (("column", None), ("row", "one")):
            session.any_memory()
            session.product(a, b, **draw_options(session.rng, 3, columns, bias, scale, False))


def wide_indices(session: Session) -> None:
    """32-bit column indices, at every alignment of the arrays."""
    with mock.patch.object(runtime, "INDEX16_COLUMNS", 0):
        for number in range(6):
            a = session.matrix(7, 33, 0.4, "odd" if number % 2 else "csr")
            b = session.matrix(33, 10 + number, 0.4, "csr" if number % 3 else "dense")
            session.any_memory()
            session.product(a, b)
            # Columns anywhere among 2^31.
            offset = int(session.rng.integers(0, (1 << 31) - 64))
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 16, 33)))
            for part in range(image.descriptor_count):
                fields = fields_of(image, part)
                places = {fields["a_indices"] + 4 * entry for entry in range(fields["a_nnz"])}
                edited(image, part, k_start=fields["k_start"] + offset,
                       a_columns=fields["a_columns"] + offset)
            image.pieces = [(address, add_to_words(address, content, places, offset))
                            for address, content in image.pieces]
            assert session.run(image) == 0


def alignments(session: Session) -> None:
    """Dense operands and results at every byte of a beat, strides of every kind."""
    config = session.config
    for number in range(2 * config.port_bytes):
        rows, inner, columns = 5, 17 + number % 5, 11 + number % 3
        a = session.matrix(rows, inner, 0.7, "dense" if number % 2 else "csr")
        b = session.matrix(inner, columns, 0.8, "dense")
        image = session.image(a, b)
        moved: dict[str, int] = {}
        for name, source, width in (("a_values", a, inner), ("b_values", b, columns)):
            if isinstance(source, np.ndarray):
                stride = width + int(session.rng.integers(0, 9))
                address = image.place(stride * (len(source) + 1) + 64) + number % config.port_bytes
                spread = np.full((len(source), stride), 0x55, np.uint8)
                spread[:, :width] = source.view(np.uint8)
                image.pieces.append((address, spread.tobytes()))
                moved |= {name: address, name.replace("values", "stride"): stride}
        stride = 4 * columns + (0, 4, 12)[number % 3]
        c = image.place(stride * rows + 64) + 4 * (number % (max(2, config.port_bytes // 4)))
        session.any_memory()
        assert session.run(edited(image, 0, c_address=c, c_stride=stride, **moved)) == 0
        found = np.frombuffer(session.recorder.read_memory(c, stride * rows), np.uint8).reshape(rows, stride)
        result = np.ascontiguousarray(found[:, :4 * columns]).view("<i4")
        np.testing.assert_array_equal(result, expected_result(a, b))


def odd_sums(session: Session) -> None:
    """Earlier sums that do not begin at a beat."""
    for columns in (3, 9, 13):
        a, b = session.matrix(6, 14, 0.8, "csr"), session.matrix(14, columns, 0.8, "dense")
        bias = session.rng.integers(-99, 99, (1, columns)).astype(np.int32)
        image = session.image(a, b, session.plan(a, b, bias=bias), bias=bias)
        sums = field_of(image, 0, "cin_address")
        content = next(content for address, content in image.pieces if address == sums)
        place = image.place(len(content) + 64) + 4
        image.pieces.append((place, content))
        session.any_memory()
        assert session.run(edited(image, 0, cin_address=place)) == 0
        found = np.frombuffer(session.recorder.read_memory(image.c_address, image.c_bytes), "<i4")
        np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b, bias=bias))


def far_apart(session: Session) -> None:
    """Rows of A, B and C far from each other, at distances of many bits."""
    rng = session.rng
    for _ in range(10):
        rows, inner, columns = 6, 14, 9
        a, b = session.matrix(rows, inner, 0.8, "dense"), session.matrix(inner, columns, 0.8, "dense")
        image = session.image(a, b)
        strides = {}
        for name, first, source in (("a", 0x10_0000, a), ("b", 0x40_0000, b)):
            strides[name] = int(rng.integers(1 << 12, 1 << 18))
            for row, content in enumerate(source):
                image.pieces.append((first + row * strides[name], content.tobytes()))
        stride = int(rng.integers(1 << 12, 1 << 20)) // 4 * 4
        session.any_memory()
        edited(image, 0, a_values=0x10_0000, a_stride=strides["a"], b_values=0x40_0000,
               b_stride=strides["b"], c_address=0x90_0000, c_stride=stride)
        assert session.run(image, look=False) == 0
        for row, expected in enumerate(expected_result(a, b)):
            found = session.recorder.read_memory(0x90_0000 + row * stride, 4 * columns)
            assert found == expected.tobytes()


def counts(session: Session) -> None:
    """Numbers of descriptors in all their bits; an error in the fourth ends the job."""
    a, b = session.matrix(2, 9, 0.8, "dense"), session.matrix(9, 4, 0.8, "dense")
    session.memory(latency=3)
    for bit in range(2, 16):
        image = session.image(a, b)
        descriptor = bytes(content_of(image))
        image.descriptor_address = image.place(4 * DESCRIPTOR_BYTES)
        image.descriptor_count = 4
        image.pieces.append((image.descriptor_address, descriptor * 4))
        error = session.run(edited(image, 3, opcode=77), count=1 << bit | 1, look=False)
        assert error == ErrorCode.OPCODE | 3 << 16


def reuse(session: Session) -> None:
    """Several descriptors on one tile, that is loaded once."""
    for packed in (False, True)[:1 + session.config.compressed_b]:
        for whole in (0, 1):
            a = session.matrix(6, 30, 0.5, "csr")
            b = session.matrix(30, 14, 0.5, "csr" if packed else "dense")
            image = session.image(a, b, session.plan(a, b, packed=packed))
            descriptor = bytes(content_of(edited(image, 0, whole=whole, half=0)))
            assert image.descriptor_count == 1
            places = [image.c_address, *(image.place(image.c_bytes) for _ in range(3))]
            # Descriptors may begin at any beat.
            beat = int(session.rng.integers(1, 16)) * session.config.port_bytes
            image.descriptor_address = image.place(len(places) * DESCRIPTOR_BYTES + beat) + beat
            image.descriptor_count = len(places)
            image.pieces.append((image.descriptor_address, descriptor * len(places)))
            for number, place in enumerate(places):
                edited(image, number, c_address=place, reuse_tile=int(number > 0))
            session.any_memory()
            assert session.run(image) == 0
            for place in places:
                found = np.frombuffer(session.recorder.read_memory(place, image.c_bytes), "<i4")
                np.testing.assert_array_equal(found.reshape(image.c_shape), expected_result(a, b))


def drawn(session: Session) -> None:
    """Products, plans and memories by chance."""
    rng = session.rng
    a_form, b_form = (str(rng.choice(["dense", "csr", "odd"])) for _ in range(2))
    rows, inner, columns = (int(rng.integers(1, high)) for high in (24, 70, 44))
    if rng.random() < 0.25:
        columns = int(rng.integers(1, 5))
    density_a, density_b = (float(rng.choice([0.03, 0.2, 0.6, 1.0])) for _ in range(2))
    a, b = session.matrix(rows, inner, density_a, a_form), session.matrix(inner, columns, density_b, b_form)
    bias = [None, "one", "row", "column"][rng.integers(4)]
    scale = [None, "one", "row"][rng.integers(3)]
    options = draw_options(rng, rows, columns, bias, scale, bool(rng.integers(2)))
    plans = session.device.plans(a, b, **options)
    plan = plans[rng.integers(len(plans))]
    if rng.random() < 0.4 and plan.shape[1] > 2:
        inside = sorted(set(rng.integers(1, plan.shape[1], 3).tolist()))
        plan = replace(plan, k_cuts=tuple(sorted({*plan.k_cuts, *inside})))
    session.any_memory()
    session.product(a, b, plan=plan, **options)


# ---- faults --------------------------------------------------------------------------------------------


def bad_fields(session: Session) -> None:
    """Each field of a descriptor with values that may be wrong, in each of three descriptors."""
    config = session.config
    a, b = session.matrix(4, 20, 0.5, "csr"), session.matrix(20, 18, 0.9, "dense")
    bad: list[dict[str, int]] = [
        {"opcode": 99}, {"opcode": 0}, {"a_format": 3}, {"b_format": 3}, {"whole": 1, "half": 1},
        {"out_int8": 1, "out_raw": 1}, {"pk_log2": 9}, {"group_log2": 9}, {"group_log2": 1}, {"rows": 0},
        {"k_count": 0}, {"k_count": 0x8000_0000}, {"n_count": 0}, {"n_count": 10_000}, {"slice_words": 0},
        {"slice_words": 200}, {"c_address": 2}, {"cin_address": 1, "accumulate": 1},
        {"params_address": 2, "row_bias": 1}, {"a_pointers": 2}, {"a_indices": 1}, {"reuse_tile": 1},
        {"relu": 1, "out_raw": 1}, {"row_scale": 1, "out_raw": 1}, {"k_count": 0, "b_format": 1},
        {"group_log2": 1, "pk_log2": config.pe_bits, "b_format": 1, "slice_words": 1},
        {"slice_words": 3, "pk_log2": config.pe_bits - 1, "b_format": 1}]
    for number, values in enumerate(bad):
        session.any_memory()
        image = session.image(a, b, session.plan(a, b, k_cuts=(0, 7, 13, 20)))
        session.run(edited(image, number % 3, **values), look=number % 4 == 0)
    session.product(a, b)
    # Limits are compared in all of their bits.
    session.memory(limit_bytes=STORAGE_BYTES)
    limits = {"k_count": (4 * config.table_rows, config.tile_bytes, config.tile_bytes + 1),
              "n_count": (config.lanes, config.max_block_columns, config.max_block_columns + 1),
              "slice_words": (config.acc_words, config.acc_words + 1), "pk_log2": (0, config.pe_bits + 1),
              "group_log2": (0, config.lane_bits + 1)}
    for name, edges in limits.items():
        bits = FIELDS[name].bits
        for value in (*edges, *(1 << bit for bit in range(bits)), (1 << bits) - 1):
            for packed in (False, True)[:1 + (config.compressed_b and name == "k_count")]:
                image = session.image(a, b, session.plan(a, b))
                session.run(edited(image, 0, **{name: value, "b_format": int(packed)}), look=False)
    session.memory()
    session.product(a, b)
    for address, count in ((1, 1), (0, 0)):
        image = session.image(a, b)
        image.descriptor_address += address
        image.pieces = []
        assert session.run(image, count) & 0xFF == ErrorCode.FIELD
    session.product(a, b)


def bus_errors(session: Session) -> None:
    """Every stream outside the memory, from its first beat or from a later one on."""
    for form, packed in (("csr", session.config.compressed_b), ("dense", False)):
        a, b = session.matrix(12, 40, 0.5, form), session.matrix(40, 18, 0.6, "csr" if packed else "dense")
        bias = np.arange(12, dtype=np.int32)[:, None]
        for field in ("a_values", "a_pointers", "a_indices", "b_values", "b_pointers", "b_indices",
                      "c_address", "cin_address", "params_address"):
            for number in range(3):
                session.any_memory(STORAGE_BYTES)
                plan = session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed, bias=bias)
                outside = OUTSIDE + int(session.rng.integers(0, 1 << 21)) * 64
                session.run(edited(session.image(a, b, plan, bias=bias), number, **{field: outside}),
                            look=number == 1)
                session.read("ERROR_ADDRESS")
        session.memory()
        session.product(a, b, bias=bias)
        image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed, bias=bias),
                              bias=bias)
        for part in range(1, 6):
            session.memory(limit_bytes=image.used_bytes * part // 6 // 64 * 64)
            session.run(image)
        session.memory()
        session.product(a, b, bias=bias)
    session.memory(limit_bytes=STORAGE_BYTES)
    image.descriptor_address = OUTSIDE
    image.pieces = []
    assert session.run(image) & 0xFF == ErrorCode.READ_BUS


def bad_csr(session: Session) -> None:
    """Row pointers that decrease or do not match, column indices at and past the end, in A and in B."""
    packed = session.config.compressed_b
    for matrix in ("a", "b")[:1 + packed]:
        a, b = session.matrix(12, 40, 0.5, "csr"), session.matrix(40, 18, 0.5, "csr" if packed else "dense")
        for offset, pointer in ((0, 1000), (4, 0), (44, 7), (8, 1), (12, 0xFFFF_FFFF)):
            session.any_memory()
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed))
            place = field_of(image, 0, f"{matrix}_pointers") + offset
            image.pieces.append((place, pointer.to_bytes(4, "little")))
            session.run(image)
        for place, index in ((0, 40), (17, 41), (17, 18), (-1, 0xFFFF), (3, 0x4000)):
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed))
            entries = field_of(image, 0, f"{matrix}_nnz")
            start = field_of(image, 0, f"{matrix}_indices") + 2 * (place % entries)
            image.pieces.append((start, index.to_bytes(2, "little")))
            session.run(image)
        for field in ("a_nnz", "a_first", "a_columns", "b_nnz", "b_first", "b_columns"):
            image = session.image(a, b, session.plan(a, b, k_cuts=(0, 11, 20, 40), packed=packed))
            session.run(edited(image, 1, **{field: field_of(image, 1, field) // 2 + 1}))
        session.product(a, b)


def packed_overflow(session: Session) -> None:
    if not session.config.compressed_b:
        return
    for rows, inner, columns in ((3, 100, 40), (3, 150, 4), (2, 40, 100)):
        a, b = np.ones((rows, inner), np.int8), sp.csr_array(np.ones((inner, columns), np.int8))
        packed = [plan for plan in session.device.plans(a, b) if plan.packed and not plan.transposed]
        if packed:
            session.memory()
            plan = replace(packed[0], k_cuts=(0, inner))
            session.run(session.image(a, b, plan))
    session.product(*(session.matrix(9, 9, 0.5, "csr") for _ in range(2)))


# ---- windows, slow and broken memories, aborts -----------------------------------------------------------


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
            session.run(edited(image, 1, **{name: MEMORY_BYTES - 4}), look=False)
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
        session.read("ERROR_ADDRESS")
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
    session.memory(latency=3)
    for bit in range(8, 29):
        image = session.image(a, b, session.plan(a, b))
        session.run_for(edited(image, 0, rows=1 << bit | 1, a_stride=0, c_stride=4), 700)
    for bit in range(12, 29, 2):
        for name in ("a_nnz", "rows", *(("b_nnz",) if session.config.compressed_b else ())):
            image = session.image(c, d, session.plan(c, d, packed=session.config.compressed_b))
            session.run_for(edited(image, 0, c_address=0, c_stride=64, **{name: 1 << bit}), 500)
    session.memory()
    session.product(c, d)


# ---- all -----------------------------------------------------------------------------------------------

JOBS: tuple[Callable[[Session], None], ...] = (
    finishes, csr_results, registers, doorbells, row_lengths, cuts, reuse, wide_indices, extremes, widest,
    alignments, far_apart, odd_sums, counts, formats, plans, windows, bad_fields, stops, endless, bus_errors,
    bad_csr, broken_memory, packed_overflow)


def corpus(session: Session, random_jobs: int = RANDOM_JOBS,
           jobs: tuple[Callable[[Session], None], ...] = JOBS) -> Iterator[str]:
    """Run the jobs, one after the other; the name of each before it runs."""
    noise = session.rng.integers(0, 256, MEMORY_BYTES).astype(np.uint8)
    session.recorder.write_memory(0, noise)
    for job in jobs:
        session.recorder.label(job.__name__)
        yield job.__name__
        job(session)
    for number in range(random_jobs):
        session.recorder.label(f"drawn {number}")
        yield f"drawn {number}"
        drawn(session)
