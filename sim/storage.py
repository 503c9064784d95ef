"""The words behind the simulated memory: an Amaranth memory, or a Verilog one that files fill fast."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.config import log2_exact

__all__ = ["DUMP_FILE", "LOAD_FILE", "Storage"]

LOAD_FILE = "memory_load.hex"
DUMP_FILE = "memory_dump.hex"


class Storage(wiring.Component):
    """Words of `data_bytes` bytes with one read and one write port.

    Throughput: one read and one write a cycle.
    Latency: a word is given the cycle after `read_enable`, and held.
    Order: a read in the cycle of a write to the same word gives the old bytes.

    Parameters
    ----------
    data_bytes : int, bytes of a word
    depth_words : int, a power of two
    external : bool, build `storage.v` instead of an Amaranth memory; then the system's simulator reads and
        writes the words by file (see there), else `memory.data` holds them

    Members
    -------
    read_enable, read_address, read_data : read port, addresses in words
    write_enable, write_address, write_data, write_strobe : write port, a strobe for each byte
    load, dump, dump_first, dump_last : commands of `storage.v`; words
    """

    def __init__(self, data_bytes: int, depth_words: int, *, external: bool = False):
        self._data_bytes, self._external = data_bytes, external
        self._address_bits = log2_exact(depth_words)
        self.memory: Any = None
        if not external:
            self.memory = Memory(shape=8 * data_bytes, depth=depth_words, init=[])
        super().__init__({
            "read_enable": In(1),
            "read_address": In(self._address_bits),
            "read_data": Out(8 * data_bytes),
            "write_enable": In(1),
            "write_address": In(self._address_bits),
            "write_data": In(8 * data_bytes),
            "write_strobe": In(data_bytes),
            "load": In(1),
            "dump": In(1),
            "dump_first": In(32),
            "dump_last": In(32),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self._external:
            m.submodules.storage = Instance(
                "zerolane_storage",
                p_DATA_BITS=8 * self._data_bytes, p_ADDRESS_BITS=self._address_bits,
                i_clk=ClockSignal(),
                i_read_enable=self.read_enable, i_read_address=self.read_address, o_read_data=self.read_data,
                i_write_enable=self.write_enable, i_write_address=self.write_address,
                i_write_data=self.write_data,
                i_write_mask=Cat(bit.replicate(8) for bit in self.write_strobe),
                i_load=self.load, i_dump=self.dump,
                i_dump_first=self.dump_first, i_dump_last=self.dump_last)
            return m
        m.submodules.memory = self.memory
        read = self.memory.read_port()
        write = self.memory.write_port(granularity=8)
        m.d.comb += [
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
            write.en.eq(self.write_strobe & self.write_enable.replicate(self._data_bytes)),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
        ]
        return m
