"""The whole array behind one memory port and one control port."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .axi import AxiLite, AxiMemory
from .burst_log import BurstLog
from .command import CommandProcessor
from .config import Config
from .control import ControlPort
from .core import Core, read_bursts
from .counter_memory import CounterMemory
from .counters import Counters
from .descriptor_reader import DESCRIPTOR_BURSTS
from .guard import MemoryGuard
from .read_port import ReadPort
from .registers import REGISTER_SPACE_BITS
from .serial_system import serial_system
from .shared import add_resettable
from .skid import Skid
from .supervisor import Supervisor
from .writer import SegmentWriter

__all__ = ["Top"]


class Top(wiring.Component):
    """Control port, command processor, core, memory ports, guard, supervisor, counters; connections only. Of
    a serial array, one engine is in the place of what works on a job.

    What works on a job is reset after a fault; what a host sees, and what stands at the memory's pins, not.

    Throughput, Latency: those of its parts.
    Backpressure: on every AXI channel but R and B, which are always taken.
    Order: descriptors are processed in order.

    Parameters
    ----------
    config : Config

    Members
    -------
    control : AXI4-Lite slave, see hdl.registers
    memory : AXI4 master; a read stream's number is its id
    irq : level, a job has ended
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "control": In(AxiLite(REGISTER_SPACE_BITS)),
            "memory": Out(AxiMemory(config.port_bytes)),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        config = self._config
        if config.serial:
            return serial_system(config, self, platform)
        m = Module()
        m.submodules.control_port = control = ControlPort(config)
        m.submodules.supervisor = supervisor = Supervisor(late_reset=config.far_registers)
        m.submodules.guard = guard = MemoryGuard(config)
        m.submodules.counters = counters = Counters(config)
        m.submodules.counter_memory = counter_memory = CounterMemory(config)
        command, core, writer = CommandProcessor(config), Core(config), SegmentWriter(config)
        bursts = (DESCRIPTOR_BURSTS, *read_bursts(config))
        read_port, log = ReadPort(config, len(bursts)), BurstLog(config, bursts)
        w_skid = Skid(writer.w.p.shape())
        add_resettable(m, {"command": command, "core": core, "writer": writer, "w_skid": w_skid,
                           "read_port": read_port, "log": log}, supervisor.o_reset, platform,
                       late=config.far_registers)

        # ---- control ----
        connect(m, flipped(self.control), control.bus)
        m.d.comb += [
            supervisor.i_start.eq(control.o_start),
            supervisor.i_abort.eq(control.o_abort),
            supervisor.i_reset.eq(control.o_reset),
            supervisor.i_watchdog.eq(control.o_watchdog),
            supervisor.i_report.eq(command.o_report),
            supervisor.i_finished.eq(command.o_finished),
            supervisor.i_completed.eq(writer.o_job_written & ~writer.o_error),
            supervisor.i_overflow.eq(core.o_overflow),
            supervisor.i_moves.eq(guard.o_moves | core.o_moves),
            supervisor.i_quiet.eq(guard.o_quiet),
            command.i_start.eq(supervisor.o_start),
            command.i_descriptor.eq(control.o_descriptor),
            command.i_count.eq(control.o_count),
            command.i_windows.eq(control.o_windows),
            command.i_completed.eq(supervisor.o_status.completed),
            guard.i_windows.eq(control.o_windows),
            guard.i_hold.eq(command.o_hold),
            guard.i_close.eq(supervisor.o_close),
            control.i_status.eq(supervisor.o_status),
            control.i_finished.eq(supervisor.o_finished),
            control.i_cleared.eq(supervisor.o_cleared),
            self.irq.eq(control.o_irq),
        ]

        # ---- jobs and events ----
        connect(m, command.o_fetch_job, core.i_fetch_job)
        connect(m, command.o_router_job, core.i_router_job)
        connect(m, command.o_tile_job, core.i_tile_job)
        connect(m, command.o_collector_job, core.i_collector_job)
        m.d.comb += [
            core.i_pe_job.eq(command.o_pe_job),
            core.i_open.eq(command.o_open),
            core.i_settled.eq(writer.o_idle),
            command.i_last.eq(core.o_last),
            command.i_tile_done.eq(core.o_tile_done),
            command.i_drained.eq(core.o_drained),
            command.i_collector_idle.eq(core.o_collector_idle),
            command.i_writer_idle.eq(writer.o_idle),
            command.i_read_error.eq(read_port.o_error),
            command.i_write_error.eq(writer.o_error),
            command.i_write_address.eq(writer.o_error_address),
            command.i_blocked.eq(guard.o_blocked),
            command.i_fetch_fault_number.eq(core.o_fetch_fault_number),
            *(sink.eq(source) for sink, source in zip(command.i_fault_addresses, core.o_fault_address,
                                                      strict=True)),
            *(sink.eq(source) for sink, source in zip(command.i_fetch_numbers, core.o_fetch_numbers,
                                                      strict=True)),
            *(sink.eq(source) for sink, source in zip(command.i_faults, core.o_fault, strict=True)),
        ]

        if config.csr_out:
            m.d.comb += command.i_full.eq(core.o_full)
        if config.elementwise:
            m.d.comb += [
                core.i_merges.eq(command.o_merges),
                command.i_merge_fault.eq(core.o_merge_fault),
                command.i_merge_fault_operand.eq(core.o_merge_fault_operand),
                counters.i_merging.eq(core.o_merging),
                counters.i_merge_blocked.eq(core.o_merge_blocked),
            ]
        if config.sddmm:
            m.d.comb += command.i_rows_done.eq(core.o_rows_done)

        # ---- memory: read streams by number, one write stream ----
        for number, (request, beat) in enumerate(zip([command.o_request, *core.o_request],
                                                     [command.i_beat, *core.i_beat], strict=True)):
            connect(m, request, read_port.i_request[number])
            connect(m, read_port.o_beat[number], beat)
        connect(m, read_port.ar, guard.port.ar)
        connect(m, guard.port.r, read_port.r)
        m.d.comb += [
            log.i_asked.eq(read_port.o_asked),
            log.i_answer.valid.eq(read_port.r.valid),
            log.i_answer.id.eq(read_port.r.p.id),
            log.i_answer.last.eq(read_port.r.p.last),
            command.i_read_address.eq(log.o_address),
        ]
        connect(m, core.o_write_job, writer.i_job)
        connect(m, core.o_write, writer.i)
        connect(m, writer.aw, guard.port.aw)
        # Whether data may go out is worked out far from the queue that it comes from.
        connect(m, writer.w, w_skid.i)
        connect(m, w_skid.o, guard.port.w)
        connect(m, guard.port.b, writer.b)
        connect(m, guard.memory, flipped(self.memory))

        # ---- counters ----
        connect(m, control.o_counter, counter_memory.i)
        m.d.comb += [
            control.i_counter.eq(counter_memory.o),
            counter_memory.i_start.eq(control.o_start),
            counter_memory.i_steps.eq(counters.o),
            counters.i_running.eq(supervisor.o_status.busy),
            counters.i_active.eq(core.o_active),
            counters.i_blocked.eq(core.o_blocked),
            counters.i_token_waits.eq(core.o_token_waits),
            counters.i_open.eq(core.i_open),
            counters.i_fetch_waiting.eq(core.o_fetch_waiting),
            counters.i_tokens_due.eq(command.o_tokens_due),
            counters.i_draining.eq(command.o_draining),
            counters.i_read_beat.eq(read_port.o_beats),
            counters.i_write_beat.eq(self.memory.w.valid & self.memory.w.ready),
        ]
        return m
