"""hdl.control: the registers as a host on AXI4-Lite finds them."""

import random
from typing import Any

import cocotb

from hdl.counters import counter_names
from hdl.registers import REGISTER_SPACE_BITS, REGISTERS, config_values, register
from sim.benches.blocks import BLOCKS, TINY
from sim.benches.streams import Block

OKAY, SLVERR = 0, 2
WRITABLE = {"CONTROL": 1, "DESCRIPTOR": 0xFFFFFFFF, "COUNT": 0xFFFF, "WATCHDOG": 0xFFFFFFFF,
            "READ_BASE": 0xFFFFFFC0, "READ_LAST": 0xFFFFFFC0, "WRITE_BASE": 0xFFFFFFC0,
            "WRITE_LAST": 0xFFFFFFC0}


class Host:
    """Reads and writes registers, one after another."""

    def __init__(self, block: Block):
        self._block = block
        self._aw, self._w, self._ar = (block.source(f"bus.{name}") for name in ("aw", "w", "ar"))
        self._b, self._r = block.sink("bus.b"), block.sink("bus.r")

    async def write(self, address: int, word: int, strobe: int = 15) -> int:
        """The response."""
        before = len(self._b.items)
        self._aw.put({"address": address})
        self._w.put({"data": word, "strobe": strobe})
        await self._block.until(lambda: len(self._b.items) > before, "a write's response", 200)
        return self._b.items[-1]["response"]

    async def read(self, address: int) -> tuple[int, int]:
        """Data and response."""
        before = len(self._r.items)
        self._ar.put({"address": address})
        await self._block.until(lambda: len(self._r.items) > before, "a read's answer", 200)
        return self._r.items[-1]["data"], self._r.items[-1]["response"]


@cocotb.test(timeout_time=50, timeout_unit="us")
@cocotb.parametrize(seed=[0, 1], rates=[(0.0, 0.0), (0.5, 0.5)])
async def random_reads_and_writes_agree_with_a_model(dut: Any, seed: int, rates: tuple[float, float]) -> None:
    rng = random.Random(seed)
    block = Block(dut, BLOCKS["control"](), seed, gap=rates[0], stall=rates[1])
    await block.start()
    block.set("o_counter.ready", 1)
    host = Host(block)
    names = {entry.address: entry.name for entry in REGISTERS}
    model = {entry.address: entry.reset for entry in REGISTERS}
    model |= {register(name).address: value for name, value in config_values(TINY).items()}
    for _ in range(60):
        address = rng.randrange(1 << REGISTER_SPACE_BITS)
        if rng.random() < 0.5:
            address = register(rng.choice(sorted(WRITABLE))).address
        base = address & ~3
        if rng.random() < 0.5:
            word, strobe = rng.getrandbits(32), rng.randrange(16)
            if names.get(base) == "DOORBELL":
                continue
            bits = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            mask = bits & WRITABLE.get(names.get(base, ""), 0)
            if base in model:
                model[base] = (model[base] & ~mask) | (word & mask)
            response = await host.write(address, word, strobe)
            assert response == (OKAY if base in model else SLVERR), hex(address)
        else:
            assert await host.read(address) == ((model[base], OKAY) if base in model else (0, SLVERR))


@cocotb.test(timeout_time=50, timeout_unit="us")
async def doorbell_done_and_interrupt(dut: Any) -> None:
    block = Block(dut, BLOCKS["control"]())
    await block.start()
    starts, host = block.pulses("o_start"), Host(block)
    address = {entry.name: entry.address for entry in REGISTERS}
    await host.write(address["DESCRIPTOR"], 0x1000)
    await host.write(address["COUNT"], 3)
    await host.write(address["CONTROL"], 1)
    await host.write(address["DOORBELL"], 1, strobe=0)
    assert not starts
    await host.write(address["DOORBELL"], 1)
    assert len(starts) == 1 and (block.get("o_descriptor"), block.get("o_count")) == (0x1000, 3)
    block.set("i_status", {"busy": 1})
    await host.write(address["DOORBELL"], 1)
    assert len(starts) == 1 and await host.read(address["STATUS"]) == (1, OKAY)
    block.set("i_status", {"completed": 2, "error": {"code": 2, "detail": 0x11, "descriptor": 0x4321}})
    block.set("i_finished", 1)
    await block.cycles()
    block.set("i_finished", 0)
    await block.cycles()
    assert block.get("o_irq") == 1
    for name, value in (("STATUS", 6), ("COMPLETED", 2), ("ERROR", 0x43211102), ("IRQ", 1)):
        assert await host.read(address[name]) == (value, OKAY), name
    await host.write(address["IRQ"], 1)
    assert block.get("o_irq") == 0
    block.set("o_counter.ready", 1)
    for number, name in enumerate(counter_names()):
        block.set("i_counter", 0xFFFFFF00 + number)
        assert await host.read(address[name.upper()]) == (0xFFFFFF00 + number, OKAY)
