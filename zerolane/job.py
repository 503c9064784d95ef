"""What a finished job tells about itself."""

from dataclasses import dataclass, replace
from typing import Any

from hdl.config import Config
from hdl.registers import COUNTERS, ErrorCode, register
from sim.transport import Transport

from .bound import Bound
from .elementwise import ElementwisePlan, Steps
from .plan import Plan

__all__ = ["OVERFLOW_WARNING", "DeviceError", "Job", "finished_job", "job_of_steps", "job_without_array",
           "read_counters"]

_MEANINGS = {
    ErrorCode.OPCODE: "the descriptor's opcode is not known",
    ErrorCode.FIELD: "a descriptor's field has a value that this configuration cannot do",
    ErrorCode.READ_BUS: "the memory answered a read with an error",
    ErrorCode.WRITE_BUS: "the memory answered a write with an error",
    ErrorCode.ROW_POINTER: "a row pointer decreases, or the last one does not match the number of entries",
    ErrorCode.COLUMN_INDEX: "a column index is at or past the matrix's columns",
    ErrorCode.PACKED_OVERFLOW: "a packed tile does not fit in the tile memory",
    ErrorCode.OUTSIDE: "an array of a descriptor does not lie in the memory that may be used for it",
    ErrorCode.BLOCKED: "the array tried to leave the memory that it may use: it is broken",
    ErrorCode.TIMEOUT: "nothing moved for as many cycles as the watchdog allows",
    ErrorCode.ABORTED: "the job was aborted",
    ErrorCode.OUTPUT_FULL: "the CSR result has more entries than there is room for",
}
_WITH_FIELD = (ErrorCode.FIELD, ErrorCode.OUTSIDE)
_WITH_STREAM = (ErrorCode.READ_BUS, ErrorCode.BLOCKED)
_WITH_ADDRESS = (ErrorCode.READ_BUS, ErrorCode.WRITE_BUS, ErrorCode.ROW_POINTER, ErrorCode.COLUMN_INDEX,
                 ErrorCode.OUTSIDE, ErrorCode.BLOCKED)
_WRITES = 255


OVERFLOW_WARNING = "an int32 sum wrapped around: results may not be the true sums"


class DeviceError(RuntimeError):
    """The array is not the expected one, or a job ended with an error.

    Attributes
    ----------
    code : ErrorCode or None
    descriptor : number of the descriptor or None
    field : name of the descriptor's field (codes FIELD and OUTSIDE) or None
    address : where in memory, as ERROR_ADDRESS says it, or None for codes that have no place
    needed : entries that the result has (code OUTPUT_FULL) or None
    """

    needed: int | None = None

    def __init__(self, message: str, code: ErrorCode | None = None, descriptor: int | None = None,
                 field: str | None = None, address: int | None = None):
        super().__init__(message)
        self.code, self.descriptor, self.field, self.address = code, descriptor, field, address

    @classmethod
    def of(cls, code: int, detail: int, descriptor: int, count: int, field_names: list[str],
           address: int = 0) -> "DeviceError":
        """From the fields of the ERROR register, and ERROR_ADDRESS."""
        field = None
        try:
            known = ErrorCode(code)
        except ValueError:
            return cls(f"error code {code} (detail {detail}) in descriptor {descriptor}: not a known code")
        text = f"{known.name}: {_MEANINGS.get(known, 'no error')}"
        place = address if known in _WITH_ADDRESS else None
        if known is ErrorCode.COLUMN_INDEX and detail:
            text, place = f"{known.name}: columns of a row of {'AB'[detail - 1]} do not rise", None
        if known in _WITH_FIELD:
            field = field_names[detail] if detail < len(field_names) else None
            text += f": {field}" if field else ": the DESCRIPTOR or COUNT register"
        elif known in _WITH_STREAM:
            text += " (a write)" if detail == _WRITES else f" (read stream {detail})"
        if known is ErrorCode.OUTPUT_FULL:
            error = cls(f"{text}: it needs a capacity of {address:,}; descriptor {descriptor} of {count}",
                        known, descriptor)
            error.needed = address
            return error
        where = f"at address {place:#x}, " if place is not None else ""
        return cls(f"{text}; {where}descriptor {descriptor} of {count}", known, descriptor, field, place)


@dataclass(frozen=True)
class Job:
    """A job that ran, or was done without the array (`plan` None, `cycles` 0).

    Attributes
    ----------
    cycles : from doorbell to done, by the array's own counter
    counters : name to cycles; together they are `cycles`
    read_beats, write_beats, mac_words : as the registers count them
    bound : what efficiency is measured against
    moved_bytes : read and written over the memory port
    overflow : some int32 addition wrapped around: results may not be the true sums
    host : what the host did beside laying the job out, in words
    """

    plan: Plan | ElementwisePlan | Steps | None
    cycles: int
    counters: dict[str, int]
    read_beats: int
    write_beats: int
    mac_words: int
    bound: Bound
    moved_bytes: int
    memory_bytes: int
    descriptors: int
    overflow: bool = False
    host: tuple[str, ...] = ()

    @property
    def efficiency(self) -> float:
        return self.bound.efficiency(self.cycles)

    def as_record(self) -> dict[str, Any]:
        """Plain numbers and strings, fit for JSON."""
        return {
            "plan": self.plan.label() if self.plan else "nothing to compute",
            "predicted_cycles": round(self.plan.cycles) if self.plan else 0,
            "descriptors": self.descriptors,
            "cycles": self.cycles,
            "counters": dict(self.counters),
            "read_beats": self.read_beats,
            "write_beats": self.write_beats,
            "mac_words": self.mac_words,
            "bytes": {"a": self.bound.a_bytes, "b": self.bound.b_bytes, "c": self.bound.c_bytes,
                      "moved": self.moved_bytes, "memory": self.memory_bytes},
            "token_cycles": self.bound.token_cycles,
            "product_cycles": self.bound.product_cycles,
            "memory_cycles": self.bound.memory_cycles,
            "passes": self.bound.passes,
            "efficiency": self.efficiency,
            "overflow": self.overflow,
            "host": list(self.host),
        }

    def explain(self) -> str:
        """The plan, what was measured against the bound, and where the cycles went."""
        if self.plan is None:
            return "The result has no elements: nothing ran."
        bound = self.bound
        lines = [
            self.plan.explain(),
            *(f"on the host: {step}" for step in self.host),
            f"measured {self.cycles:,} cycles in {self.descriptors} descriptors "
            f"(predicted {self.plan.cycles:,.0f})",
            f"bound: tokens {bound.token_cycles:,.0f}, memory {bound.memory_cycles:,.0f} cycles, "
            f"{bound.passes} pass{'es' * (bound.passes > 1)}; efficiency {self.efficiency:.3f}",
            f"operands {bound.a_bytes:,} + {bound.b_bytes:,} bytes, result {bound.c_bytes:,}; "
            f"moved {self.moved_bytes:,}",
            *([OVERFLOW_WARNING] if self.overflow else []),
            "cycles by cause:",
        ]
        total = max(1, self.cycles)
        lines += [f"  {name:<15}{self.counters[name]:>12,}  {self.counters[name] / total:6.1%}  {about}"
                  for name, about in COUNTERS]
        return "\n".join(lines)


def read_counters(transport: Transport) -> dict[str, int]:
    """All counting registers by name, lower case and without COUNT_."""
    names = ["CYCLES", "READ_BEATS", "WRITE_BEATS", "MAC_WORDS",
             *(f"COUNT_{name.upper()}" for name, _ in COUNTERS)]
    return {name.lower().removeprefix("count_"): transport.read_register(register(name).address)
            for name in names}


def job_without_array(bound: Bound) -> Job:
    """A job whose result has no elements."""
    return Job(None, 0, {name: 0 for name, _ in COUNTERS}, 0, 0, 0, bound, 0, 0, 0)


def job_of_steps(jobs: list[Job], bound: Bound) -> Job:
    """Jobs that followed each other as one."""
    if len(jobs) == 1:
        return replace(jobs[0], bound=bound)

    def total(name: str) -> int:
        return sum(getattr(job, name) for job in jobs)

    plans = tuple(job.plan for job in jobs if isinstance(job.plan, (Plan, ElementwisePlan)))
    return Job(Steps(plans), total("cycles"),
               {name: sum(job.counters[name] for job in jobs) for name in jobs[0].counters},
               total("read_beats"), total("write_beats"), total("mac_words"), bound, total("moved_bytes"),
               max(job.memory_bytes for job in jobs), total("descriptors"), any(job.overflow for job in jobs))


def finished_job(transport: Transport, config: Config, plan: Plan | ElementwisePlan, bound: Bound,
                 memory_bytes: int, descriptors: int, overflow: bool, host: tuple[str, ...] = ()) -> Job:
    """A job that just ended, with the array's own counters."""
    values = read_counters(transport)
    counters = {name: values[name] for name, _ in COUNTERS}
    moved_bytes = (values["read_beats"] + values["write_beats"]) * config.port_bytes
    return Job(plan, values["cycles"], counters, values["read_beats"], values["write_beats"],
               values["mac_words"], bound, moved_bytes, memory_bytes, descriptors, overflow, host)
