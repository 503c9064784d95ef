"""The control port's register map, once: hardware, runtime, C header, JSON and docs are made from it."""

from dataclasses import dataclass
from enum import Enum, IntEnum

from .config import Config

__all__ = [
    "COUNTERS", "ID_VALUE", "INTERFACE_VERSION", "REGISTERS", "REGISTER_SPACE_BITS", "WATCHDOG_CYCLES",
    "WINDOW_BYTES", "Access", "ErrorCode", "Register", "RegisterField", "config_values", "register",
]

ID_VALUE = 0x5A4C414E
"""ASCII "ZLAN", the first thing a host reads."""

INTERFACE_VERSION = 3
"""Of registers and descriptors; a host refuses another."""

WINDOW_BYTES = 64
"""Granularity of the memory windows; no beat of any memory port is longer."""

WATCHDOG_CYCLES = 1 << 20
"""What WATCHDOG reads after reset."""

REGISTER_SPACE_BITS = 8
"""Byte-address bits of the control port."""


class Access(Enum):
    RO = "read only"
    RW = "read, write"
    WO = "write only"
    W1C = "read, write one to clear"


class ErrorCode(IntEnum):
    """Why a job stopped; `ERROR.code`."""

    NONE = 0
    OPCODE = 1            # a descriptor's opcode is not known
    FIELD = 2             # a descriptor's field has a value this configuration cannot do
    READ_BUS = 3          # the memory answered a read with an error
    WRITE_BUS = 4         # the memory answered a write with an error
    ROW_POINTER = 5       # a row pointer decreases, or the last one does not match nnz
    COLUMN_INDEX = 6      # a column index is at or past the matrix's columns; elementwise: or does not rise
    PACKED_OVERFLOW = 7   # a packed tile does not fit in the tile memory or a row in its table entry
    OUTSIDE = 8           # an array of a descriptor does not lie in its memory window
    BLOCKED = 9           # a burst outside its memory window was held back at the port: a fault of the array
    TIMEOUT = 10          # nothing moved for as many cycles as WATCHDOG says
    ABORTED = 11          # CONTROL.abort
    OUTPUT_FULL = 12      # a CSR result has more entries than c_capacity


@dataclass(frozen=True)
class RegisterField:
    name: str
    offset: int
    bits: int
    about: str


@dataclass(frozen=True)
class Register:
    name: str
    address: int
    access: Access
    about: str
    fields: tuple[RegisterField, ...] = ()
    reset: int = 0  # what a writable register reads after reset


COUNTERS = (
    ("busy", "a PE started a multiply-accumulate word, or a word of an elementwise result was made"),
    ("wait_tile", "no PE did; tokens wait for their tile or for the array to hand over between jobs"),
    ("wait_collector", "no PE did; one waits for room for its finished row, or an elementwise result does"),
    ("wait_memory", "no PE did; the A fetch has asked and waits for the memory's answer"),
    ("wait_a", "no PE did; tokens are on their way from the A fetch"),
    ("drain", "every token is done; sums move to memory"),
    ("command", "none of the above: descriptors are read and checked"),
)
"""Cycle counters of a job: in every cycle from doorbell to done exactly one counts."""

_COUNTER_BASE = 0x60

REGISTERS = (
    Register("ID", 0x00, Access.RO, f"{ID_VALUE:#x}"),
    Register("VERSION", 0x04, Access.RO, "interface version"),
    Register("CONFIG0", 0x08, Access.RO, "shape of the array", (
        RegisterField("pes", 0, 8, "P"), RegisterField("lanes", 8, 8, "V"),
        RegisterField("port_bytes", 16, 8, "W"), RegisterField("beat_tokens", 24, 8, "T"))),
    Register("CONFIG1", 0x0C, Access.RO, "tile memory for values, in bytes"),
    Register("CONFIG2", 0x10, Access.RO, "depths and features", (
        RegisterField("acc_words", 0, 10, "accumulator words a lane and bank"),
        RegisterField("table_rows", 10, 13, "packed rows with entries a PE"),
        RegisterField("chains", 23, 2, "drain chains"),
        RegisterField("compressed_b", 25, 1, "packed tiles can be made"),
        RegisterField("scaling", 26, 1, "int8 output can be made"),
        RegisterField("csr_out", 27, 1, "results can be CSR"),
        RegisterField("sddmm", 28, 1, "products of two dense matrices can be sampled"),
        RegisterField("elementwise", 29, 1, "elementwise operations can be done"))),
    Register("CONFIG3", 0x14, Access.RO, "more depths", (
        RegisterField("index_rows", 0, 16, "packed rows a PE, with entries or without"),)),
    Register("CONTROL", 0x20, Access.RW, "", (
        RegisterField("irq_enable", 0, 1, "raise the interrupt when a job ends"),
        RegisterField("abort", 1, 1, "written 1: end the running job with error ABORTED; reads as 0"),
        RegisterField("reset", 2, 1, "written 1: end the running job without a trace (no done, no "
                                     "interrupt, no error) and empty the array; reads as 0"))),
    Register("DESCRIPTOR", 0x24, Access.RW, "address of the first descriptor; a multiple of port_bytes"),
    Register("COUNT", 0x28, Access.RW, "descriptors of the job, at least 1"),
    Register("DOORBELL", 0x2C, Access.WO, "any write starts the job; ignored while busy"),
    Register("STATUS", 0x30, Access.RO, "", (
        RegisterField("busy", 0, 1, "a job runs"),
        RegisterField("done", 1, 1, "the last job ended; cleared by the doorbell"),
        RegisterField("error", 2, 1, "the last job ended with an error"),
        RegisterField("overflow", 3, 1, "an int32 addition of the running or last job wrapped around"),
        RegisterField("closing", 4, 1, "a job was stopped; the memory has still to complete its transfers"))),
    Register("IRQ", 0x34, Access.W1C, "", (RegisterField("done", 0, 1, "a job ended"),)),
    Register("COMPLETED", 0x38, Access.RO, "descriptors of the running or last job that are complete"),
    Register("ERROR", 0x3C, Access.RO, "first error of the running or last job", (
        RegisterField("code", 0, 8, "ErrorCode"),
        RegisterField("detail", 8, 8, "FIELD: number of the field in DESCRIPTOR_FIELDS, 255 for the "
                                      "registers DESCRIPTOR and COUNT; OUTSIDE: the same, the field with the "
                                      "array's address; READ_BUS, BLOCKED: number of the read stream, "
                                      "BLOCKED 255: a write; COLUMN_INDEX: 1 for A, 2 for B where "
                                      "columns of an elementwise job do not rise, else 0"),
        RegisterField("descriptor", 16, 16, "number of the descriptor"))),
    Register("ERROR_ADDRESS", 0x40, Access.RO, "READ_BUS, WRITE_BUS, BLOCKED: first byte of the burst; "
             "OUTSIDE: of the array; OUTPUT_FULL: entries that the result has; "
             "ROW_POINTER, COLUMN_INDEX: of the few row pointers or indices of which "
             "one is wrong; else 0"),
    Register("WATCHDOG", 0x44, Access.RW, "cycles without any progress after which a job ends with error "
                                          f"TIMEOUT; 0: never; {WATCHDOG_CYCLES:#x} after reset",
             reset=WATCHDOG_CYCLES),
    Register("CYCLES", 0x50, Access.RO, "cycles from doorbell to done"),
    Register("READ_BEATS", 0x54, Access.RO, "beats read over the memory port"),
    Register("WRITE_BEATS", 0x58, Access.RO, "beats written over the memory port"),
    Register("MAC_WORDS", 0x5C, Access.RO, "multiply-accumulate words (V lanes) started by all PEs together"),
    *(Register(f"COUNT_{name.upper()}", _COUNTER_BASE + 4 * number, Access.RO, f"cycles: {about}")
      for number, (name, about) in enumerate(COUNTERS)),
    Register("READ_BASE", 0x80, Access.RW, "first byte that may be read, a multiple of 64; 0 after reset"),
    Register("READ_LAST", 0x84, Access.RW, "last byte that may be read, a multiple of 64 plus 63; 0xffffffff "
                                           "after reset", reset=0xFFFFFFFF),
    Register("WRITE_BASE", 0x88, Access.RW, "first byte that may be written, as READ_BASE"),
    Register("WRITE_LAST", 0x8C, Access.RW, "last byte that may be written, as READ_LAST",
             reset=0xFFFFFFFF),
)
"""Counters start at zero with the doorbell, stop at done, and stay at 0xffffffff once they get there."""


def register(name: str) -> Register:
    """The register of that name; KeyError if there is none."""
    for entry in REGISTERS:
        if entry.name == name:
            return entry
    raise KeyError(name)


def config_values(config: Config) -> dict[str, int]:
    """What the ID, VERSION and CONFIG registers of an array of this configuration read."""
    def pack(name: str, **values: int) -> int:
        return sum(values[field.name] << field.offset for field in register(name).fields)

    return {
        "ID": ID_VALUE,
        "VERSION": INTERFACE_VERSION,
        "CONFIG0": pack("CONFIG0", pes=config.pes, lanes=config.lanes, port_bytes=config.port_bytes,
                        beat_tokens=config.beat_tokens),
        "CONFIG1": config.tile_bytes,
        "CONFIG2": pack("CONFIG2", acc_words=config.acc_words, table_rows=config.table_rows,
                        chains=config.chains, compressed_b=config.compressed_b,
                        scaling=config.scale_multipliers > 0, csr_out=config.csr_out, sddmm=config.sddmm,
                        elementwise=config.elementwise),
        "CONFIG3": pack("CONFIG3", index_rows=config.index_rows),
    }
