"""Counters that say where the cycles of a job went."""

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .config import Config, width_of
from .registers import COUNTERS

__all__ = ["CounterSteps", "Counters", "counter_names"]


def counter_names() -> list[str]:
    """Every counter register's name, in small letters, in the order of their addresses."""
    return ["cycles", "read_beats", "write_beats", "mac_words", *(f"count_{name}" for name, _ in COUNTERS)]


def CounterSteps(config: Config) -> data.StructLayout:
    """What every counter goes on by in a cycle."""
    return data.StructLayout({name: width_of(config.pes + 1) if name == "mac_words" else 1
                              for name in counter_names()})


def _ones(bits: Value) -> Value:
    """How many bits are set, by halves."""
    if len(bits) == 1:
        return bits
    middle = len(bits) // 2
    return _ones(bits[:middle]) + _ones(bits[middle:])


class Counters(wiring.Component):
    """Says what is to be counted between doorbell and done; in each cycle exactly one of the seven causes.

    The cause of a cycle is the first of these that holds (`hdl.registers.COUNTERS`):

    busy            a PE is active, or entries of an elementwise result leave the merger
    wait_tile       a beat of tokens waits at a closed token bus
    wait_collector  a PE is blocked: it has tokens, but no room for its finished row; or the merger is
    wait_memory     the A fetch waits for memory
    wait_a          tokens of a started descriptor have yet to pass the token bus
    drain           an array, collector or writer is not done
    command         otherwise

    Throughput: every cycle.
    Latency: one cycle from an input to its step, two for `mac_words`.
    Backpressure: none; `CounterMemory` adds the steps up.

    Parameters
    ----------
    config : Config

    Members
    -------
    i_running : a job runs; cycles without it are not counted, and one at least is between two jobs
    i_active : one bit a PE, it starts a multiply-accumulate word
    i_blocked : one bit a PE, it has a token and waits for room for a finished row
    i_token_waits : a beat is offered to the token bus
    i_open : the token bus is open
    i_fetch_waiting : the A fetch has asked and nothing has come
    i_tokens_due : a started descriptor's last beat has not passed the token bus
    i_draining : sums are on their way: array, collector or writer
    i_read_beat, i_write_beat : a beat passes the memory port
    i_merging, i_merge_blocked : as of Core (only with `elementwise`)
    o : CounterSteps
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
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
            "o": Out(CounterSteps(config)),
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
        # ---- the first cause that holds ----
        m.d.comb += [self.o.cycles.eq(running), self.o.read_beats.eq(read_beat),
                     self.o.write_beats.eq(write_beat), self.o.mac_words.eq(words)]
        taken = ~running
        for name, _ in COUNTERS:
            step = Signal(name=f"step_{name}")
            m.d.comb += [step.eq(held[name] & ~taken), self.o[f"count_{name}"].eq(step)]
            before, taken = taken, Signal(name=f"after_{name}")
            m.d.comb += taken.eq(before | held[name])
        return m
