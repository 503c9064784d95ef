"""A board's serial pins on a pseudo-terminal, bit by bit, with a line that may damage what passes.

It is told by the environment: ZEROLANE_FOLDER, where it writes the terminal's name into `port`, and where a
file `mute` cuts the board's answers off and a file `stop` ends it; ZEROLANE_BIT_NS, ZEROLANE_FAULTS (chance
that a byte is damaged, lost or doubled), ZEROLANE_SEED.
"""

import os
import pty
import random
import tty
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer

CLOCK_NS = 10


class Line:
    """Both directions between the board's pins and a pseudo-terminal."""

    def __init__(self, dut: Any):
        self.dut = dut
        self.folder = Path(os.environ["ZEROLANE_FOLDER"])
        self.bit_ns = int(os.environ["ZEROLANE_BIT_NS"])
        self.fault_rate = float(os.environ["ZEROLANE_FAULTS"])
        self.random = random.Random(int(os.environ["ZEROLANE_SEED"]))
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # held open, so that hosts may come and go
        os.set_blocking(self.master, False)
        unfinished = self.folder / "port.new"
        unfinished.write_text(os.ttyname(self._slave))
        unfinished.rename(self.folder / "port")

    def through(self, byte: int) -> bytes:
        """What arrives of a byte."""
        if self.random.random() >= self.fault_rate:
            return bytes([byte])
        return self.random.choice([b"", bytes([byte, byte]), bytes([byte ^ 1 << self.random.randrange(8)])])

    async def to_board(self) -> None:
        while True:
            try:
                data = os.read(self.master, 4096)
            except BlockingIOError:
                await Timer(20 * self.bit_ns, unit="ns")
                continue
            for sent in data:
                for byte in self.through(sent):
                    for bit in [0, *(byte >> place & 1 for place in range(8)), 1]:
                        self.dut.rx.value = bit
                        await Timer(self.bit_ns, unit="ns")

    async def from_board(self) -> None:
        while True:
            await FallingEdge(self.dut.tx)
            await Timer(self.bit_ns // 2, unit="ns")
            byte = 0
            for place in range(8):
                await Timer(self.bit_ns, unit="ns")
                byte |= int(self.dut.tx.value) << place
            await Timer(self.bit_ns, unit="ns")
            assert int(self.dut.tx.value) == 1, "a byte without its stop bit"
            if not (self.folder / "mute").exists():
                os.write(self.master, self.through(byte))


@cocotb.test()
async def the_line_serves_a_host(dut: Any) -> None:
    line = Line(dut)
    dut.rx.value = 1
    dut.rst.value = 1
    Clock(dut.clk, CLOCK_NS, unit="ns").start()
    await Timer(5 * CLOCK_NS, unit="ns")
    dut.rst.value = 0
    tasks = [cocotb.start_soon(line.to_board()), cocotb.start_soon(line.from_board())]
    while not (line.folder / "stop").exists():
        await Timer(2000 * CLOCK_NS, unit="ns")
    for task in tasks:
        task.cancel()
