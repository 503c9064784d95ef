"""The simulated main memory: an AXI4 slave with a latency, one port's bandwidth, and random gaps."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hdl.axi import ID_BITS, AxiAddress, AxiMemory
from hdl.config import ADDRESS_BITS, AXI_PAGE_BYTES, Config, log2_exact
from hdl.queue import Queue

from .memory_faults import FAULT_SETTINGS, FaultInjector
from .storage import Storage

__all__ = ["GAP_STEPS", "MIN_LATENCY_CYCLES", "VIOLATIONS", "MemoryModel", "gap_threshold"]

TIME_BITS = 32
QUEUE_BURSTS = 64
GAP_STEPS = 1 << 12
MIN_LATENCY_CYCLES = 2
_OKAY, _SLVERR, _DECERR = 0, 2, 3

VIOLATIONS = (
    "a burst's last write beat and WLAST do not agree",
    "a burst crosses a 4 KiB page",
    "a burst's address is not a multiple of the port's bytes",
    "an offer was withdrawn, or changed, before it was taken",
)
"""Meaning of the bits of `violation`."""


def gap_threshold(probability: float) -> int:
    """What `gap_threshold` must be for channels closed with this probability; ValueError outside 0..0.95."""
    if not 0 <= probability <= 0.95:
        raise ValueError(f"gaps = {probability}; it must be a probability from 0 to 0.95")
    return round(probability * GAP_STEPS)


class MemoryModel(wiring.Component):
    """Main memory as a DRAM port shows it: high latency, many bursts outstanding, one beat a cycle in all.

    Throughput: one beat a cycle, read or write: never both in one cycle. Where both want every cycle they
        alternate.
    Latency: an AR taken in cycle c has its first beat offered in cycle c + latency_cycles or later; a B is
        offered latency_cycles after its last W or later.
    Backpressure: on all channels; W waits for its AW. 64 bursts may be outstanding each way.
    Order: reads are answered in the order of AR, writes in the order of AW, ids given back. Between the
        two: a read may see a write whose B was not given yet.

    Parameters
    ----------
    config : Config, for port_bytes
    depth_words : int, words of port_bytes, a power of two
    latency_cycles, gap_probability, seed : what the inputs of that purpose are when nobody drives them
    external : bool, see `Storage`

    Members
    -------
    memory : AXI4 slave; DECERR for words at or past `limit_words`
    latency_cycles : at least 2
    gap_threshold : each channel is closed in gap_threshold / 4096 of the cycles, at random
    seed : of these gaps, read at reset
    limit_words : end of the memory
    fault_... : see `FaultInjector`
    violation : one bit for each of VIOLATIONS, set until reset
    load, dump, dump_first, dump_last : see `Storage`
    """

    def __init__(self, config: Config, depth_words: int, latency_cycles: int = 32,
                 gap_probability: float = 0.0, *, seed: int = 0, external: bool = False):
        if latency_cycles < MIN_LATENCY_CYCLES:
            raise ValueError(f"latency_cycles = {latency_cycles}; it must be at least {MIN_LATENCY_CYCLES}")
        self._data_bytes = config.port_bytes
        self._address_bits = log2_exact(depth_words)
        self.storage = Storage(config.port_bytes, depth_words, external=external)
        super().__init__({
            "memory": In(AxiMemory(config.port_bytes)),
            "latency_cycles": In(16, init=latency_cycles),
            "gap_threshold": In(12, init=gap_threshold(gap_probability)),
            "seed": In(32, init=seed),
            "limit_words": In(32, init=depth_words),
            **{name: In(bits) for name, bits in FAULT_SETTINGS.items()},
            "violation": Out(len(VIOLATIONS)),
            "load": In(1), "dump": In(1), "dump_first": In(32), "dump_last": In(32),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.storage = storage = self.storage
        m.d.comb += [storage.load.eq(self.load), storage.dump.eq(self.dump),
                     storage.dump_first.eq(self.dump_first), storage.dump_last.eq(self.dump_last)]
        self._now = Signal(TIME_BITS)
        self._due = Signal(TIME_BITS)  # of what is taken in this cycle
        m.d.sync += self._now.eq(self._now + 1)
        m.d.comb += self._due.eq(self._now + self.latency_cycles)
        # Set when W offered a beat and lost the cycle to R: W is certain to offer it again, and R gives way.
        self._write_waits = Signal()
        self._violation = Signal(len(VIOLATIONS))
        m.d.sync += self.violation.eq(self.violation | self._violation)
        m.submodules.faults = self._faults = faults = FaultInjector()
        m.d.comb += [getattr(faults, name).eq(getattr(self, name)) for name in FAULT_SETTINGS]
        for number, channel in enumerate(self._channels()):
            m.d.comb += faults.i_moves[number].eq(channel.valid & channel.ready)
        self._hold_rule(m)
        ar_open, r_open, aw_open, w_open, b_open = (
            is_open & ~frozen for is_open, frozen in zip(self._gaps(m), faults.o_frozen, strict=True))
        read_moves = self._read(m, ar_open, r_open)
        self._write(m, aw_open, w_open, b_open, read_moves)
        return m

    def _channels(self) -> list[Any]:
        memory = self.memory
        return [memory.ar, memory.r, memory.aw, memory.w, memory.b]

    def _hold_rule(self, m: Module) -> None:
        """What the array offers stays as it is until it is taken."""
        broken = []
        for name in ("ar", "aw", "w"):
            channel = getattr(self.memory, name)
            payload = channel.p.as_value()
            waits, offered = Signal(name=f"{name}_waits"), Signal.like(payload, name=f"{name}_offered")
            m.d.sync += [waits.eq(channel.valid & ~channel.ready), offered.eq(payload)]
            broken.append(waits & ~(channel.valid & (payload == offered)))
        with m.If(Cat(*broken).any()):
            m.d.comb += self._violation[3].eq(1)

    def _gaps(self, m: Module) -> list[Signal]:
        """One bit a channel: it may act in this cycle."""
        # ---- xorshift64: 12 fresh random bits a channel in every cycle ----
        state, seeded = Signal(64), Signal()
        first, second, third = Signal(64), Signal(64), Signal(64)
        m.d.comb += [first.eq(state ^ (state << 13)), second.eq(first ^ (first >> 7)),
                     third.eq(second ^ (second << 17))]
        m.d.sync += [seeded.eq(1), state.eq(third)]
        with m.If(~seeded):
            m.d.sync += state.eq(Cat(self.seed, Const(0x9E3779B9, 32)))
        channels = []
        for number in range(5):
            channel = Signal(name=f"open{number}")
            m.d.comb += channel.eq(state[12 * number:12 * number + 12] >= self.gap_threshold)
            channels.append(channel)
        return channels

    def _burst_queue(self, m: Module, name: str, address: Any, is_open: Signal) -> Queue:
        """Accepted bursts with the cycle from which they may be answered."""
        shape = data.StructLayout({"burst": AxiAddress(), "due": TIME_BITS})
        queue = Queue(shape, QUEUE_BURSTS)
        m.submodules[name] = queue
        taken = Signal(name=f"{name}_taken")
        m.d.comb += [
            address.ready.eq(queue.i.ready & is_open),
            taken.eq(address.valid & address.ready),
            queue.i.valid.eq(address.valid & is_open),
            queue.i.p.burst.eq(address.p),
            queue.i.p.due.eq(self._due),
        ]
        # ---- rules of the bus ----
        byte_bits, page_bits = log2_exact(self._data_bytes), log2_exact(AXI_PAGE_BYTES)
        first_beat = address.p.address[byte_bits:page_bits]
        with m.If(taken):
            with m.If(first_beat + address.p.length >= AXI_PAGE_BYTES // self._data_bytes):
                m.d.comb += self._violation[1].eq(1)
            with m.If(address.p.address[:byte_bits].any()):
                m.d.comb += self._violation[2].eq(1)
        return queue

    def _word(self, m: Module, name: str, burst: Any, beat: Signal) -> tuple[Signal, Signal]:
        """Word address of a burst's beat, and whether it exists."""
        word, exists = Signal(ADDRESS_BITS, name=f"{name}_word"), Signal(name=f"{name}_exists")
        m.d.comb += [word.eq((burst.address >> log2_exact(self._data_bytes)) + beat),
                     exists.eq(word < self.limit_words)]
        return word, exists

    def _read(self, m: Module, ar_open: Signal, r_open: Signal) -> Signal:
        r, storage = self.memory.r, self.storage
        queue = self._burst_queue(m, "reads", self.memory.ar, ar_open)
        front = queue.o.p
        beat, full, held, moves, issue = (Signal(8, name="read_beat"), Signal(name="read_full"),
                                          Signal(name="read_held"), Signal(name="read_moves"),
                                          Signal(name="read_issue"))
        word, exists = self._word(m, "read", front.burst, beat)
        m.d.comb += [self._faults.i_read.eq(issue), self._faults.i_read_word.eq(word)]
        is_last, early = Signal(name="read_is_last"), Signal(signed(TIME_BITS))

        # ---- ask the storage, so that the beat is there when due ----
        m.d.comb += [
            early.eq(self._now + 1 - front.due),
            is_last.eq(beat == front.burst.length),
            issue.eq(queue.o.valid & (early >= 0) & (~full | moves)),
            storage.read_enable.eq(issue),
            storage.read_address.eq(word[:self._address_bits]),
            queue.o.ready.eq(issue & is_last),
        ]
        response = Signal(2, name="read_response")
        with m.If(issue):
            m.d.sync += [beat.eq(beat + 1), full.eq(1), r.p.id.eq(front.burst.id), r.p.last.eq(is_last),
                         response.eq(_OKAY)]
            with m.If(is_last):
                m.d.sync += beat.eq(0)
            with m.If(~exists):
                m.d.sync += response.eq(_DECERR)
            with m.Elif(self._faults.o_read_error):
                m.d.sync += response.eq(_SLVERR)
        with m.Elif(moves):
            m.d.sync += full.eq(0)

        # ---- offer it ----
        m.d.comb += [
            r.valid.eq(full & (held | (r_open & ~self._write_waits))),
            r.p.response.eq(response),
            r.p.data.eq(storage.read_data),
            moves.eq(r.valid & r.ready),
        ]
        with m.If(response != _OKAY):
            m.d.comb += r.p.data.eq(0)
        m.d.sync += held.eq(r.valid & ~r.ready)
        return moves

    def _write(self, m: Module, aw_open: Signal, w_open: Signal, b_open: Signal, read_moves: Signal) -> None:
        w, b, storage = self.memory.w, self.memory.b, self.storage
        bursts = self._burst_queue(m, "writes", self.memory.aw, aw_open)
        answer = data.StructLayout({"id": ID_BITS, "response": 2, "due": TIME_BITS})
        m.submodules.answers = answers = Queue(answer, QUEUE_BURSTS)
        front = bursts.o.p
        beat, failed, is_last, able, moves = (Signal(8, name="write_beat"), Signal(name="write_failed"),
                                              Signal(name="write_is_last"), Signal(name="write_able"),
                                              Signal(name="write_moves"))
        word, exists = self._word(m, "write", front.burst, beat)
        bad = Signal(name="write_bad")
        m.d.comb += [
            self._faults.i_write.eq(moves), self._faults.i_write_word.eq(word),
            bad.eq(~exists | self._faults.o_write_error),
        ]

        # ---- take a beat, unless R moves one ----
        m.d.comb += [
            able.eq(bursts.o.valid & answers.i.ready & (w_open | self._write_waits)),
            w.ready.eq(able & ~read_moves),
            moves.eq(w.valid & w.ready),
            is_last.eq(beat == front.burst.length),
            storage.write_enable.eq(moves & ~bad),
            storage.write_address.eq(word[:self._address_bits]),
            storage.write_data.eq(w.p.data),
            storage.write_strobe.eq(w.p.strobe),
            bursts.o.ready.eq(moves & is_last),
            answers.i.valid.eq(moves & is_last),
            answers.i.p.id.eq(front.burst.id),
            answers.i.p.due.eq(self._due),
        ]
        with m.If(failed | bad):
            m.d.comb += answers.i.p.response.eq(Mux(exists, _SLVERR, _DECERR))
        m.d.sync += self._write_waits.eq(w.valid & able & read_moves)
        with m.If(moves):
            m.d.sync += [beat.eq(beat + 1), failed.eq(failed | bad)]
            with m.If(is_last):
                m.d.sync += [beat.eq(0), failed.eq(0)]
            with m.If(is_last != w.p.last):
                m.d.comb += self._violation[0].eq(1)

        # ---- answer ----
        held, late = Signal(name="answer_held"), Signal(signed(TIME_BITS))
        m.d.comb += [
            late.eq(self._now - answers.o.p.due),
            b.valid.eq(answers.o.valid & (held | ((late >= 0) & b_open))),
            b.p.id.eq(answers.o.p.id),
            b.p.response.eq(answers.o.p.response),
            answers.o.ready.eq(b.valid & b.ready),
        ]
        m.d.sync += held.eq(b.valid & ~b.ready)
