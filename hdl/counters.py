"""Counters that say where the cycles of a job went."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import Config
from .registers import COUNTERS

__all__ = ["COUNTER_BITS", "CounterValues", "Counters"]

COUNTER_BITS = 32


def CounterValues() -> data.StructLayout:
    """Every counter register by its name in small letters."""
    names = ["cycles", "read_beats", "write_beats", "mac_words", *(f"count_{name}" for name, _ in COUNTERS)]
    return data.StructLayout({name: COUNTER_BITS for name in names})


def _ones(bits: Value) -> Value:
    """How many bits are set, by halves."""
    if len(bits) == 1:
        return bits
    middle = len(bits) // 2
    return _ones(bits[:middle]) + _ones(bits[middle:])


class Counters(wiring.Component):
    """Counts what happens between doorbell and done; in each cycle exactly one of the seven causes.

    The cause of a cycle is the first of these that holds (`hdl.registers.COUNTERS`):

    busy            a PE is active, or entries of an elementwise result leave the merger
    wait_tile       a beat of tokens waits at a closed token bus
    wait_collector  a PE is blocked: it has tokens, but no room for its finished row; or the merger is
    wait_memory     the A fetch waits for memory
    wait_a          tokens of a started descriptor have yet to pass the token bus
    drain           an array, collector or writer is not done
    command         otherwise

    Throughput: every cycle.
    Latency: two cycles from an input to its counter, three for `mac_words`; the values are final three
    cycles after `i_running` falls.
    Backpressure: none.
    Overflow: a counter that would pass 0xffffffff stays there.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_start : one cycle before `i_running` rises; everything becomes zero
    i_running : a job runs; cycles without it are not counted
    i_active : one bit a PE, it starts a multiply-accumulate word
    i_blocked : one bit a PE, it has a token and waits for room for a finished row
    i_token_waits : a beat is offered to the token bus
    i_open : the token bus is open
    i_fetch_waiting : the A fetch has asked and nothing has come
    i_tokens_due : a started descriptor's last beat has not passed the token bus
    i_draining : sums are on their way: array, collector or writer
    i_read_beat, i_write_beat : a beat passes the memory port
    i_merging, i_merge_blocked : as of Core (only with `elementwise`)
    o : CounterValues
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "i_start": In(1),
            "i_running": In(1),
            "i_active": In(config.pes),
            "i_blocked": In(config.pes),
            "i_token_waits": In(1),
            "i_open": In(1),
            "i_fetch_waiting": In(1),
            "i_tokens_due": In(1),
            "i_draining": In(1),
            "i_read_beat": In(1),
            "i_write_beat": In(1),
            "o": Out(CounterValues()),
        } | ({"i_merging": In(1), "i_merge_blocked": In(1)} if config.elementwise else {}))

    def elaborate(self, platform):
        m = Module()
        merging, blocked = ((self.i_merging, self.i_merge_blocked) if self._config.elementwise
                            else (Const(0), Const(0)))
        conditions = {
            "busy": self.i_active.any() | merging,
            "wait_tile": self.i_token_waits & ~self.i_open,
            "wait_collector": self.i_blocked.any() | blocked,
            "wait_memory": self.i_fetch_waiting,
            "wait_a": self.i_tokens_due,
            "drain": self.i_draining,
            "command": 1,
        }
        # ---- stage 1: conditions of a running cycle ----
        held = {name: Signal(name=name) for name in conditions}
        running, read_beat, write_beat = Signal(), Signal(), Signal()
        active, words = Signal(self._config.pes), Signal(range(self._config.pes + 1))
        m.d.sync += [
            *(held[name].eq(condition) for name, condition in conditions.items()),
            running.eq(self.i_running),
            read_beat.eq(self.i_read_beat & self.i_running),
            write_beat.eq(self.i_write_beat & self.i_running),
            active.eq(self.i_active & self.i_running.replicate(self._config.pes)),
            words.eq(_ones(active)),
        ]
        # ---- stage 2: count ----
        steps = {"cycles": running, "read_beats": read_beat, "write_beats": write_beat, "mac_words": words}
        taken = ~running
        for name, _ in COUNTERS:
            steps[f"count_{name}"] = step = Signal(name=f"step_{name}")
            m.d.comb += step.eq(held[name] & ~taken)
            before, taken = taken, Signal(name=f"after_{name}")
            m.d.comb += taken.eq(before | held[name])
        for name, step in steps.items():
            value, total = self.o[name], Signal(COUNTER_BITS + 1, name=f"total_{name}")
            m.d.comb += total.eq(value + step)
            if len(step) > 1:
                m.d.sync += value.eq(total[:COUNTER_BITS] | total[COUNTER_BITS].replicate(COUNTER_BITS))
            else:
                # Steps of one meet the end exactly: to stay there takes no logic but an enable.
                with m.If(~total[COUNTER_BITS]):
                    m.d.sync += value.eq(total)
            with m.If(self.i_start):
                m.d.sync += value.eq(0)
        with m.If(self.i_start):
            # What is still on its way belongs to the job before.
            m.d.sync += [running.eq(0), read_beat.eq(0), write_beat.eq(0), active.eq(0), words.eq(0)]
        return m
