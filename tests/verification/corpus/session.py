"""What every job of the corpus is written with: a host, a memory, and products that check themselves."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hdl.config import Config
from hdl.registers import COUNTERS, REGISTERS, register
from sim.host_port import HostCommand
from sim.memory import gap_threshold
from tests.products import draw_matrix
from tests.verification.recording import Recorder
from zerolane import runtime
from zerolane.device import Device, expected_result
from zerolane.plan import Plan
from zerolane.problem import as_problem

from .images import ADDRESSES, add_to_words, edited, fields_of, is_csr, is_run, row_count

__all__ = ["ADDRESS_SPACE_BYTES", "MEMORY_BYTES", "PATIENCE_CYCLES", "STORAGE_BYTES", "Session"]

MEMORY_BYTES = 1 << 15
"""What a job may use and what is looked at after it."""

STORAGE_BYTES = 1 << 24
"""Behind the memory. Addresses that differ in higher bits only are the same place..."""

ADDRESS_SPACE_BYTES = 1 << 32
"""...so that jobs can lie anywhere."""

LATENCIES = (2, 3, 5, 9, 20, 32, 61)
GAPS = (0.0, 0.0, 0.0, 0.1, 0.3, 0.6)
PATIENCE_CYCLES = 60_000


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
        self.read("STATUS")
        options.pop("capacity", None)
        expected = expected_result(a, b, **options)
        if problem.csr:
            found = runtime.read_csr(
                problem.result_shape, image,
                lambda address, length: self.recorder.read_memory((base + address) % STORAGE_BYTES, length))
            for name in ("indptr", "indices", "data"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name),
                                              err_msg=plan.label())
            return
        content = self.recorder.read_memory((base + image.c_address) % STORAGE_BYTES, image.c_bytes)
        np.testing.assert_array_equal(runtime.unpack_result(problem, plan, image, content),
                                      expected, strict=True, err_msg=plan.label())

    def move(self, image: runtime.Image, spread: bool = True) -> int:
        """Put a job somewhere else, its strides (`spread`) and row pointers, too; where it begins."""
        rng = self.rng
        base = (int(rng.integers(0, 48)) * STORAGE_BYTES
                + int(rng.integers(0, STORAGE_BYTES // MEMORY_BYTES)) * MEMORY_BYTES)
        count = image.descriptor_count
        descriptors = [fields_of(image, number) for number in range(count)]
        # The first entry of a CSR array may have any number.
        for matrix in ("a", "b"):
            first, shifted = int(rng.integers(0, 1 << 31)), set()
            for fields in descriptors:
                if not is_csr(fields, matrix):
                    continue
                pointers = fields[f"{matrix}_pointers"]
                fields[f"{matrix}_first"] += first
                shifted |= {pointers + 4 * row for row in range(-1, row_count(fields, matrix))}
                if rng.random() < 0.5:
                    fields[f"{matrix}_columns"] |= int(rng.integers(0, 1 << 32)) & ~0xFFFF
            image.pieces = [(address, add_to_words(address, content, shifted, first))
                            for address, content in image.pieces]
        for name in ("a_stride", "b_stride", "c_stride", "cin_stride"):
            more = int(rng.integers(0, 3)) * STORAGE_BYTES * spread
            for fields in descriptors:
                rows = row_count(fields, name[0])
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
        """The best plan that streams A, dense or packed tile (for a result in CSR the one there is), cut as
        asked."""
        plans, either = self.device.plans(a, b, **options), options.get("out") == "csr"
        plan = next(plan for plan in plans if not plan.transposed and (either or plan.packed == packed))
        return replace(plan, k_cuts=k_cuts, k_ranges=()) if k_cuts else plan

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
        if error:
            self.read("ERROR_ADDRESS")
        if look:
            self.look(base)
        return error
