"""A serial array behind one memory port and one control port."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import connect, flipped

from .config import Config
from .control import ControlPort
from .counter_memory import CounterMemory
from .counters import Counters
from .guard import MemoryGuard
from .serial_engine import SerialEngine
from .shared import add_resettable
from .supervisor import Supervisor

__all__ = ["serial_system"]


def serial_system(config: Config, top: Any, platform: Any) -> Module:
    """The inside of a `hdl.top.Top`: one engine beside control port, supervisor, guard and counters, which
    are those of any array; connections only.
    """
    m = Module()
    m.submodules.control_port = control = ControlPort(config)
    m.submodules.supervisor = supervisor = Supervisor()
    m.submodules.guard = guard = MemoryGuard(config)
    m.submodules.counters = counters = Counters(config)
    m.submodules.counter_memory = counter_memory = CounterMemory(config)
    engine = SerialEngine(config)
    add_resettable(m, {"engine": engine}, supervisor.o_reset, platform)
    connect(m, flipped(top.control), control.bus)
    connect(m, engine.port, guard.port)
    connect(m, guard.memory, flipped(top.memory))
    connect(m, control.o_counter, counter_memory.i)
    m.d.comb += [
        # ---- job control ----
        supervisor.i_start.eq(control.o_start),
        supervisor.i_abort.eq(control.o_abort),
        supervisor.i_reset.eq(control.o_reset),
        supervisor.i_watchdog.eq(control.o_watchdog),
        supervisor.i_report.eq(engine.o_report),
        supervisor.i_finished.eq(engine.o_finished),
        supervisor.i_completed.eq(engine.o_completed),
        supervisor.i_overflow.eq(engine.o_overflow),
        supervisor.i_moves.eq(guard.o_moves | engine.o_moves),
        supervisor.i_quiet.eq(guard.o_quiet),
        control.i_status.eq(supervisor.o_status),
        control.i_finished.eq(supervisor.o_finished),
        control.i_cleared.eq(supervisor.o_cleared),
        top.irq.eq(control.o_irq),
        # ---- memory ----
        guard.i_windows.eq(control.o_windows),
        guard.i_close.eq(supervisor.o_close),
        # ---- the engine ----
        engine.i_start.eq(supervisor.o_start),
        engine.i_descriptor.eq(control.o_descriptor),
        engine.i_count.eq(control.o_count),
        engine.i_windows.eq(control.o_windows),
        engine.i_completed.eq(supervisor.o_status.completed),
        engine.i_blocked.eq(guard.o_blocked),
        # ---- counters ----
        control.i_counter.eq(counter_memory.o),
        counter_memory.i_start.eq(control.o_start),
        counter_memory.i_steps.eq(counters.o),
        counters.i_running.eq(supervisor.o_status.busy),
        counters.i_active.eq(engine.o_active),
        counters.i_blocked.eq(engine.o_blocked),
        counters.i_token_waits.eq(engine.o_loading),
        counters.i_open.eq(~engine.o_loading),
        counters.i_fetch_waiting.eq(engine.o_hungry),
        counters.i_tokens_due.eq(engine.o_tokens_due),
        counters.i_draining.eq(engine.o_draining),
        counters.i_read_beat.eq(engine.o_read_beat),
        counters.i_write_beat.eq(top.memory.w.valid & top.memory.w.ready),
    ]
    return m
