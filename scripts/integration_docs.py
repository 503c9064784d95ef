"""Writes docs/integration.md: how the generated Verilog is put into a SoC, with its widths and limits."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from hdl.config import ADDRESS_BITS, MAX_BURST_BEATS, PRESETS, Config  # noqa: E402
from hdl.core import read_bursts  # noqa: E402
from hdl.descriptor import DESCRIPTOR_BYTES  # noqa: E402
from hdl.descriptor_reader import DESCRIPTOR_BURSTS  # noqa: E402
from hdl.pins import CACHE_NORMAL  # noqa: E402
from hdl.registers import REGISTER_SPACE_BITS, WINDOW_BYTES  # noqa: E402
from hdl.serial_code import OUTSTANDING, Stream  # noqa: E402
from hdl.writer import OUTSTANDING_LOG2  # noqa: E402
from zerolane.generate import output_files  # noqa: E402
from zerolane.markdown_tables import table_head, table_row  # noqa: E402
from zerolane.ports import ports  # noqa: E402

_PAGE = """\
# In a SoC

Made from the hardware's constants by `scripts/integration_docs.py`; do not edit.

    zerolane generate --preset base -o zerolane.v

{files}

Names of modules begin with `zerolane`, many are escaped (`\\zerolane.top.core `). Arrays of two
configurations in one design would have modules of the same name: `--top NAME` puts another one in its place.

## Ports

{ports}

All of `m_axi_*` is an AXI4 master, all of `s_axil_*` an AXI4-Lite slave. Pins of AXI that are not here (QOS,
REGION, USER) are not used. No output hangs on an input of the same cycle.

{widths}

## Clock and reset

One clock, `clk`; everything happens at its rising edge, on all ports. Where the memory or the host has
another one, clock converters of the interconnect go in between.

`rst` is active high and synchronous to `clk`. It is to be high for two rising edges or more; from the first
on nothing is offered on any port. An `aresetn` that is synchronous to `clk` goes in as `.rst(!aresetn)`.
Nothing has to be cleared before, memories neither: from unknown registers and memories the array comes to the
same state. Registers and memories have initial values all the same, for FPGAs. `rst` cuts open transfers, so
what is on the other side of `m_axi_*` is reset with it. A host that wants to stop a job writes
`CONTROL.abort` or `CONTROL.reset`, which cut none ([faults.md](faults.md#how-a-job-is-stopped)).

## What the memory port does

- Addresses have {address_bits} bits. Every address is a multiple of the port's bytes, every beat is whole
  (`AxSIZE` is constant), every burst INCR of 1 to {beats} beats that lie in one piece of {beats} beats
  aligned to its size, so none crosses a 4 KiB page.
- `AxLOCK` is 0, `AxPROT` 0, `AxCACHE` {cache}: normal memory, not cacheable, bufferable. No exclusive access,
  no other type of burst, no narrow transfer.
- Reads take whole beats: bytes beside an operand, in a beat that holds some of it, are read and not used.
  Writes have strobes: bytes beside a result stay as they are.
- Read ids are numbers of read streams, from 0 (descriptors) on; of a serial array (`micro`, `mini`) from 1
  on, which is that of descriptors and values. Writes have id 0. Every stream has reserved room for what it
  asks, so `RREADY` and `BREADY` are always 1.
- What is offered stays as it is until it is taken. Write data are never offered before their address is, and
  may be offered before it is taken; data of bursts come in the order of their addresses.
- Only addresses in the windows of the control port go out, which are in blocks of {window} bytes. After reset
  the windows are the whole address space.

## What the memory must do

- `RID` is what `ARID` was, and `RLAST` is looked at; `BID` is not. Answers of one id come in the order of its
  addresses. Those of different ids may come in any order and be interleaved beat by beat. Write responses
  come in the order of the addresses, as the id is one. A memory that answers all in order is right.
- When a write is answered, it is to be seen by every read that begins after it: by the array's own (earlier
  sums), and by the host's, since the interrupt comes when the last write is answered. A host with a cache
  invalidates what the job writes, and writes back what it reads.
- SLVERR and DECERR end the job with READ_BUS or WRITE_BUS; EXOKAY counts as OKAY.
- It may take as long as it wants, and hold back any channel. A job in which nothing moves for as many cycles
  as `WATCHDOG` says ends with TIMEOUT. How much latency is hidden is up to `read_buffer_beats`.
- Nobody else changes descriptors and operands of a running job. Of the descriptors of one job only earlier
  sums (`accumulate`) are read after all results before them are written: a result that is another
  descriptor's A or B needs a job of its own. Everything of a job is in memory before the doorbell is written.

## How a host starts a job

The control port has 32 bits of data and {space} bytes of addresses; the interconnect takes away the bits
above. It does not look at `AxPROT`, and has one read and one write at a time. The registers, their order in a
job, and the descriptor ({descriptor} bytes) are in [registers.md](registers.md). With the header:

```c
{driver}
```

`irq` is a level, active high, and synchronous to `clk`: 1 while `IRQ.done` and `CONTROL.irq_enable` are.
Without interrupts a host reads `STATUS` until `done` is 1. What to put into a descriptor:
`zerolane/runtime.py` lays out what `zerolane.Device` runs. What errors mean, and how to go on:
[faults.md](faults.md).

## Instance

Every port, with nets of the same names; their widths are in `ports` of the `.json`. What the interconnect has
no use for stays open.

```verilog
{instance}
```
"""

_DRIVER = """\
#include "zerolane.h"

#define REG(offset) (*(volatile uint32_t *)(ARRAY_ADDRESS + (offset)))

/* Where the array may read and write: first bytes, multiples of 64, and last ones, multiples plus 63. */
struct windows { uint32_t read_base, read_last, write_base, write_last; };

int is_there(void)
{
    return REG(ZEROLANE_ID) == ZEROLANE_ID_VALUE && REG(ZEROLANE_VERSION) == ZEROLANE_VERSION_VALUE;
}

/* Operands and descriptors are in memory: caches are written back, and a barrier is passed.
   `list`: where the array finds the descriptors, a multiple of the port's bytes. */
void start(uint32_t list, uint32_t descriptors, const struct windows *may)
{
    REG(ZEROLANE_READ_BASE) = may->read_base;
    REG(ZEROLANE_READ_LAST) = may->read_last;
    REG(ZEROLANE_WRITE_BASE) = may->write_base;
    REG(ZEROLANE_WRITE_LAST) = may->write_last;
    REG(ZEROLANE_IRQ) = ZEROLANE_IRQ_DONE_MASK;
    REG(ZEROLANE_CONTROL) = ZEROLANE_CONTROL_IRQ_ENABLE_MASK;
    REG(ZEROLANE_DESCRIPTOR) = list;
    REG(ZEROLANE_COUNT) = descriptors;
    REG(ZEROLANE_DOORBELL) = 1;
}

/* At the interrupt; 0 or ZEROLANE_ERROR_... */
uint32_t finish(void)
{
    REG(ZEROLANE_IRQ) = ZEROLANE_IRQ_DONE_MASK;
    return (REG(ZEROLANE_ERROR) & ZEROLANE_ERROR_CODE_MASK) >> ZEROLANE_ERROR_CODE_SHIFT;
}"""

_FILES = {
    ".v": "the whole array, top module `zerolane`; Verilog-2005 without parameters, includes and primitives "
          "of a part",
    ".json": "`ports` of the top module (`name`, `direction`, `bits`, and `of`: what it belongs to), "
             "registers, descriptor",
    ".h": "the same registers and descriptor for C",
    ".vlt": "what Verilator's -Wall may say of it, each rule with its reason: `verilator --lint-only -Wall "
            "--top-module zerolane zerolane.vlt zerolane.v`",
}

_ABOUT = {
    "clock": "the one clock",
    "reset": "active high, synchronous",
    "memory": "AXI4 master: descriptors, operands, results",
    "control": "AXI4-Lite slave: registers",
    "interrupt": "level, active high: a job has ended",
}

_NETS_A_LINE = 2


def _files() -> list[str]:
    return [*table_head("file", "what"),
            *(table_row(f"`{path.name}`", _FILES[path.suffix]) for path in output_files(Path("zerolane.v")))]


def _bits(number: int) -> str:
    """The bits of port `number`: a figure, or what comes of port_bytes, W."""
    bits = {preset: ports(config)[number]["bits"] for preset, config in PRESETS.items()}
    if len(set(bits.values())) == 1:
        return str(bits["base"])
    (times,) = {bits[preset] // config.port_bytes for preset, config in PRESETS.items()}
    return f"{times}·W" if times > 1 else "W"


def _ports() -> list[str]:
    """Ports by what they belong to, with their bits."""
    listed = list(enumerate(ports(PRESETS["base"])))
    lines = table_head("of", "direction", "ports and bits", "what")
    for of, about in _ABOUT.items():
        for direction in ("output", "input"):
            names = [f"`{port['name']}` {_bits(number)}" for number, port in listed
                     if (port["of"], port["direction"]) == (of, direction)]
            if names:
                lines.append(table_row(of, direction, ", ".join(names), about))
    return lines


def most_reads(config: Config) -> tuple[range, int]:
    """The read ids of an array, and how many bursts it has outstanding at most."""
    if config.serial:
        ids = [stream.value for stream in Stream if stream is not Stream.RESULTS]
        return range(min(ids), max(ids) + 1), len(ids) * OUTSTANDING
    bursts = (DESCRIPTOR_BURSTS, *read_bursts(config))
    return range(len(bursts)), sum(bursts)


def _widths() -> list[str]:
    lines = table_head("preset", "W, bytes a beat", "data bits", "longest burst, bytes", "read ids",
                       "read bursts outstanding, at most", "write bursts outstanding, at most")
    for preset, config in PRESETS.items():
        ids, reads = most_reads(config)
        lines.append(table_row(f"`{preset}`", config.port_bytes, 8 * config.port_bytes, config.burst_bytes,
                               f"{ids[0]} to {ids[-1]}", reads,
                               OUTSTANDING if config.serial else 1 << OUTSTANDING_LOG2))
    return lines


def instance() -> str:
    """An instance of the top module, every port with a net of its name."""
    nets = [f".{port['name']}({port['name']})" for port in ports(PRESETS["base"])]
    lines = [", ".join(nets[first:first + _NETS_A_LINE]) for first in range(0, len(nets), _NETS_A_LINE)]
    return "zerolane array (\n    " + ",\n    ".join(lines) + "\n);"


def page() -> str:
    """The page's text."""
    files, pins, widths = ("\n".join(lines) for lines in (_files(), _ports(), _widths()))
    return _PAGE.format(
        files=files, ports=pins, widths=widths, address_bits=ADDRESS_BITS, beats=MAX_BURST_BEATS,
        cache=f"{CACHE_NORMAL:#06b}", window=WINDOW_BYTES, space=1 << REGISTER_SPACE_BITS,
        descriptor=DESCRIPTOR_BYTES, driver=_DRIVER, instance=instance())


if __name__ == "__main__":
    (ROOT / "docs" / "integration.md").write_text(page())
