"""hdl.control: AXI4-Lite behaviour and the registers behind it."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS
from hdl.control import ControlPort
from hdl.counter_memory import counter_number
from hdl.counters import counter_names
from hdl.emit import emit_verilog
from hdl.registers import REGISTER_SPACE_BITS, REGISTERS, Access, ErrorCode, config_values, register

OKAY, SLVERR = 0, 2
WINDOW_REGISTERS = ("READ_BASE", "READ_LAST", "WRITE_BASE", "WRITE_LAST")
CONFIG = PRESETS["base"]


class Bus:
    """A host on the control port, with random gaps, orders and stalls."""

    def __init__(self, ctx, dut: ControlPort, seed: int = 0, gap: float = 0.0):
        self.ctx, self.bus, self.random, self.gap = ctx, dut.bus, random.Random(seed), gap

    async def _pause(self) -> None:
        while self.random.random() < self.gap:
            await self.ctx.tick()

    async def _send(self, parts: list) -> None:
        """Offer each (stream, payload) after a random pause, in random overlap, until all are taken."""
        waits = {index: 0 for index in range(len(parts))}
        if self.gap:
            waits = {index: self.random.randrange(5) for index in waits}
        open_parts = set(waits)
        while open_parts:
            for index in open_parts:
                if waits[index] == 0:
                    self.ctx.set(parts[index][0].payload, parts[index][1])
                    self.ctx.set(parts[index][0].valid, 1)
            _, _, *ready = await self.ctx.tick().sample(*(part.ready for part, _ in parts))
            for index in list(open_parts):
                if waits[index]:
                    waits[index] -= 1
                elif ready[index]:
                    self.ctx.set(parts[index][0].valid, 0)
                    open_parts.discard(index)

    async def _answer(self, stream) -> dict:
        held = None
        while True:
            ready = self.random.random() >= self.gap
            self.ctx.set(stream.ready, ready)
            _, _, valid, payload = await self.ctx.tick().sample(stream.valid, stream.payload)
            found = {name: payload[name] for name, _ in payload.shape()}
            assert held is None or (valid and found == held), "an answer changed while it was stalled"
            if valid and ready:
                self.ctx.set(stream.ready, 0)
                return found
            held = found if valid else None

    async def write(self, address: int, word: int, strobe: int = 15) -> int:
        await self._pause()
        data = {"data": word, "strobe": strobe}
        await self._send([(self.bus.aw, {"address": address}), (self.bus.w, data)])
        return (await self._answer(self.bus.b))["response"]

    async def read(self, address: int) -> tuple[int, int]:
        await self._pause()
        await self._send([(self.bus.ar, {"address": address})])
        answer = await self._answer(self.bus.r)
        return answer["data"], answer["response"]


def simulate(body, config=CONFIG, watch=None) -> None:
    dut = ControlPort(config)
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx) -> None:
        await body(ctx, dut)

    async def watcher(ctx) -> None:
        async for _, _, start, descriptor, count in ctx.tick().sample(
                dut.o_start, dut.o_descriptor, dut.o_count):
            if start and watch is not None:
                watch.append((descriptor, count))

    async def counters(ctx) -> None:
        rng = random.Random(1)
        while True:
            await ctx.tick()
            asked = ctx.get(dut.o_counter.valid)
            ready = asked and rng.random() < 0.3
            ctx.set(dut.o_counter.ready, ready)
            ctx.set(dut.i_counter, counter_value(ctx.get(dut.o_counter.p)) if ready else rng.getrandbits(32))

    simulator.add_testbench(testbench)
    simulator.add_testbench(watcher, background=True)
    simulator.add_testbench(counters, background=True)
    simulator.run()


def counter_value(number: int) -> int:
    """What the counter of that number reads here."""
    return 0xFFFFFF00 + 3 * number


def address_of(name: str) -> int:
    return register(name).address


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_random_reads_and_writes_agree_with_a_model(seed: int, gap: float) -> None:
    async def body(ctx, dut) -> None:
        bus, rng = Bus(ctx, dut, seed, gap), random.Random(seed)
        masks = {"CONTROL": 1, "DESCRIPTOR": 0xFFFFFFFF, "COUNT": 0xFFFF, "WATCHDOG": 0xFFFFFFFF}
        masks |= dict.fromkeys(WINDOW_REGISTERS, 0xFFFFFFC0)
        model = {entry.address: entry.reset for entry in REGISTERS}
        model |= {address_of(name): value for name, value in config_values(CONFIG).items()}
        model |= {address_of(name.upper()): counter_value(counter_number(name)) for name in counter_names()}
        names = {entry.address: entry.name for entry in REGISTERS}
        for _ in range(150):
            address = rng.randrange(1 << REGISTER_SPACE_BITS)
            if rng.random() < 0.5:
                address = address_of(rng.choice(sorted(masks)))
            base = address & ~3
            if rng.random() < 0.5:
                word, strobe = rng.getrandbits(32), rng.randrange(16)
                if names.get(base) == "DOORBELL":
                    continue
                response = await bus.write(address, word, strobe)
                bits = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
                mask = bits & masks.get(names.get(base, ""), 0)
                if base in model:
                    model[base] = (model[base] & ~mask) | (word & mask)
                assert response == (OKAY if base in model else SLVERR), hex(address)
            else:
                assert await bus.read(address) == ((model[base], OKAY) if base in model else (0, SLVERR))
    simulate(body)


def test_every_status_field_and_counter_reads_its_input() -> None:
    async def body(ctx, dut) -> None:
        bus = Bus(ctx, dut)
        ctx.set(dut.i_status.busy, 1)
        ctx.set(dut.i_status.completed, 0x1234)
        ctx.set(dut.i_status.error, {"code": 2, "detail": 0x11, "descriptor": 0x4321, "address": 0x89ABCDEF})
        ctx.set(dut.i_status.overflow, 1)
        ctx.set(dut.i_status.closing, 1)
        for name in counter_names():
            assert await bus.read(address_of(name.upper())) == (counter_value(counter_number(name)), OKAY)
        assert await bus.read(address_of("STATUS")) == (0b11001, OKAY)
        assert await bus.read(address_of("COMPLETED")) == (0x1234, OKAY)
        assert await bus.read(address_of("ERROR")) == (0x43211102, OKAY)
        assert await bus.read(address_of("ERROR_ADDRESS")) == (0x89ABCDEF, OKAY)
    simulate(body)


def test_every_register_of_the_map_is_answered() -> None:
    async def body(ctx, dut) -> None:
        bus = Bus(ctx, dut)
        for entry in REGISTERS:
            data, response = await bus.read(entry.address)
            assert response == OKAY, entry.name
            assert entry.access is not Access.WO or data == 0
    simulate(body)


def test_the_doorbell_starts_with_the_registers_and_is_ignored_while_busy() -> None:
    starts: list[tuple[int, int]] = []

    async def body(ctx, dut) -> None:
        bus = Bus(ctx, dut)
        await bus.write(address_of("DESCRIPTOR"), 0x1000)
        await bus.write(address_of("COUNT"), 3)
        assert await bus.write(address_of("DOORBELL"), 0, strobe=0) == OKAY
        assert starts == []
        await bus.write(address_of("DOORBELL"), 0)
        assert starts == [(0x1000, 3)]
        ctx.set(dut.i_status.busy, 1)
        assert await bus.write(address_of("DOORBELL"), 1) == OKAY
        assert len(starts) == 1
    simulate(body, watch=starts)


def test_done_and_interrupt_follow_the_end_of_a_job() -> None:
    async def body(ctx, dut) -> None:
        bus = Bus(ctx, dut)

        async def end() -> None:
            ctx.set(dut.i_finished, 1)
            await ctx.tick()
            ctx.set(dut.i_finished, 0)

        await end()
        assert await bus.read(address_of("STATUS")) == (2, OKAY)
        assert await bus.read(address_of("IRQ")) == (1, OKAY)
        assert ctx.get(dut.o_irq) == 0
        await bus.write(address_of("CONTROL"), 1)
        assert ctx.get(dut.o_irq) == 1
        await bus.write(address_of("IRQ"), 0)
        await bus.write(address_of("IRQ"), 1, strobe=0b1110)
        assert ctx.get(dut.o_irq) == 1
        await bus.write(address_of("IRQ"), 1)
        assert ctx.get(dut.o_irq) == 0
        await bus.write(address_of("DOORBELL"), 1)
        assert await bus.read(address_of("STATUS")) == (0, OKAY)
        ctx.set(dut.i_status.error.code, ErrorCode.FIELD)
        await end()
        assert ctx.get(dut.o_irq) == 1
        assert await bus.read(address_of("STATUS")) == (6, OKAY)
    simulate(body)


def test_windows_are_locked_while_a_job_runs_or_closes() -> None:
    async def body(ctx, dut) -> None:
        bus = Bus(ctx, dut)
        for state in ("busy", "closing"):
            ctx.set(dut.i_status[state], 1)
            for name in WINDOW_REGISTERS:
                before = await bus.read(address_of(name))
                assert await bus.write(address_of(name), 0x12345678) == SLVERR
                assert await bus.read(address_of(name)) == before
            ctx.set(dut.i_status[state], 0)
        for number, name in enumerate(WINDOW_REGISTERS):
            assert await bus.write(address_of(name), 0x1000 * (number + 1)) == OKAY
        windows = dut.o_windows
        assert [ctx.get(value) << 6 for value in (
            windows.read.base, windows.read.last, windows.write.base, windows.write.last)] == [
                0x1000, 0x2000, 0x3000, 0x4000]
    simulate(body)


@pytest.mark.parametrize("bit, name", [(1, "o_abort"), (2, "o_reset")])
def test_a_one_in_control_is_a_pulse_and_is_not_kept(bit: int, name: str) -> None:
    async def body(ctx, dut) -> None:
        pulses = []

        async def watch() -> None:
            bus = Bus(ctx, dut)
            await bus._send([(dut.bus.aw, {"address": address_of("CONTROL")}),
                             (dut.bus.w, {"data": 1 << bit, "strobe": 15})])
            for _ in range(8):
                _, _, *values = await ctx.tick().sample(dut.o_abort, dut.o_reset)
                pulses.append(values)

        await watch()
        assert sum(abort for abort, _ in pulses) == (name == "o_abort")
        assert sum(reset for _, reset in pulses) == (name == "o_reset")
        ctx.set(dut.bus.b.ready, 1)
        await ctx.tick()
        ctx.set(dut.bus.b.ready, 0)
        assert await Bus(ctx, dut).read(address_of("CONTROL")) == (0, OKAY)
    simulate(body)


def test_a_soft_reset_takes_done_back() -> None:
    async def body(ctx, dut) -> None:
        bus = Bus(ctx, dut)
        for name in ("i_finished", "i_cleared"):
            ctx.set(getattr(dut, name), 1)
            await ctx.tick()
            ctx.set(getattr(dut, name), 0)
            assert await bus.read(address_of("STATUS")) == (2 * (name == "i_finished"), OKAY)
    simulate(body)


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module" in emit_verilog(ControlPort(PRESETS[preset]), "control")
