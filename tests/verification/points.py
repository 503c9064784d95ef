"""Functional coverage points: named situations that the jobs of a good test must have been in.

A point belongs to a block's class and is a condition on its members, or on those of its submodules. It is
counted in every instance. `with points_in_hardware():` adds them to every block that is elaborated inside.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Instance, Module, ResetSignal, Value

from hdl.chain import ChainStage
from hdl.collector import Collector
from hdl.command import CommandProcessor
from hdl.config import MAX_BURST_BEATS, Config
from hdl.control import ControlPort
from hdl.core import Core
from hdl.counters import Counters
from hdl.descriptor import Opcode, field_number
from hdl.descriptor_check import DescriptorCheck
from hdl.extent_check import ExtentCheck
from hdl.fetch import Fetch
from hdl.guard import MemoryGuard
from hdl.layouts import AFormat, BFormat
from hdl.packer import Packer
from hdl.pe import ProcessingElement
from hdl.read_port import ReadPort
from hdl.registers import COUNTERS, ErrorCode
from hdl.row_queue import RowQueue
from hdl.supervisor import Supervisor
from hdl.token_bus import TokenBus
from hdl.writer import SegmentWriter

from .kernel_points import KERNEL_BLOCKS
from .row_points import ROW_BLOCKS

__all__ = ["POINT_PREFIX", "Point", "point_names", "point_verilog",
           "points_in_hardware"]

POINT_PREFIX = "zerolane_cover_"
"""Each point is a Verilog module of its own: Verilator counts all instances of a module together."""

Point = tuple[str, Any]
"""What it means, and when it is hit."""

Points = dict[str, Point]


def _jobs(command: CommandProcessor, m: Module) -> Points:
    config = command._config
    a, b, router = command.o_fetch_job.p, command.o_tile_job.p, command.o_router_job
    taken = router.valid & router.ready
    points: Points = {}
    for a_format in AFormat:
        for b_format in BFormat:
            if b_format is not BFormat.DENSE and not config.compressed_b:
                continue
            shapes = [(pk, 0) for pk in range(config.pe_bits + 1)]
            if b_format is BFormat.DENSE:
                shapes += [(config.pe_bits, group) for group in range(1, config.lane_bits + 1)]
            for pk, group in shapes:
                points[f"job_{a_format.name}_{b_format.name}_pk{pk}_group{group}".lower()] = (
                    f"a job with A {a_format.name}, B {b_format.name}, P_k = {1 << pk}, "
                    f"{1 << group} rows a word",
                    taken & (Value.cast(a.format) == a_format.value)
                    & (Value.cast(b.format) == b_format.value) & (router.p.pk_log2 == pk)
                    & (router.p.group_log2 == group))
    opcodes = [Opcode.SDDMM, Opcode.SDDMM_PATTERN] if config.sddmm else []
    opcodes += [Opcode.ELEMENTWISE, Opcode.ELEMENTWISE_WIDE] if config.elementwise else []
    for opcode in opcodes:
        points[f"job_{opcode.name.lower()}"] = (f"a job of {opcode.name}",
                                                taken & (command._head.opcode == opcode))
    points["tile_overlaps"] = ("a tile is asked for while another descriptor computes",
                               command.o_tile_job.valid & command.o_tile_job.ready & command.o_open)
    return points


def _supervisor(supervisor: Supervisor, m: Module) -> Points:
    status = supervisor.o_status
    points: Points = {f"error_{code.name.lower()}": (f"a job ends with {code.name}", supervisor.o_finished
                                                     & (status.error.code == code.value))
                      for code in ErrorCode if code not in (ErrorCode.NONE, ErrorCode.BLOCKED)}
    return points | {
        "overflow": ("an addition wraps", supervisor.i_overflow & status.busy),
        "abort_while_busy": ("a job is aborted", supervisor.i_abort & status.busy),
        "abort_while_idle": ("an abort without a job", supervisor.i_abort & ~status.busy),
        "reset_while_busy": ("a soft reset during a job", supervisor.i_reset & status.busy),
        "reset_while_idle": ("a soft reset without a job", supervisor.i_reset & ~status.busy),
        "reset_done": ("a soft reset is over", supervisor.o_cleared),
        "stopped_while_outstanding": ("a job is stopped while transfers are outstanding",
                                      supervisor.o_close & ~supervisor.i_quiet),
        "closing_after_done": ("the job is over, its transfers are not", status.closing & ~status.busy),
    }


def _guard(guard: MemoryGuard, m: Module) -> Points:
    port, memory = guard.port, guard.memory
    return {
        "guard_holds": ("an address waits while a job is being stopped",
                        (port.ar.valid | port.aw.valid) & (guard.i_hold | guard.i_close)
                        & ~(memory.ar.valid | memory.aw.valid)),
        "guard_finishes_write": ("data of a stopped job's burst still moves",
                                 guard.i_close & memory.w.valid & memory.w.ready),
        "guard_takes_reads": ("answers come for a stopped job", guard.i_close & memory.r.valid),
    }


def _extents(check: ExtentCheck, m: Module) -> Points:
    names = ["a_pointers", "a_indices", "a_values", "b_values", "c_address", "cin_address", "params_address"]
    if check._config.compressed_b:
        names += ["b_pointers", "b_indices"]
    names += ["c_indices", "c_pointers"] if check._config.csr_out else []
    names += ["x_values"] if check._config.sddmm else []
    return {f"outside_{name}": (f"a descriptor is refused since {name} leads outside its window",
                                check.o_done & check.o.valid & (check.o.error.code == ErrorCode.OUTSIDE)
                                & (check.o.error.detail == field_number(name))) for name in names}


def _token_bus(bus: TokenBus, m: Module) -> Points:
    beat, passes = bus.i.p, bus.i.valid & bus.i.ready
    ends = Cat(end.valid for end in beat.ends)
    return {
        "beat_without_row_end": ("a beat of tokens only", passes & ~ends.any()),
        "beat_with_one_row_end": ("a beat with one row end", passes & (ends == 0b01)),
        "beat_with_two_row_ends": ("a beat with two row ends", passes & (ends == 0b11)),
        "beat_of_row_ends_only": ("a beat without any token", passes & ~beat.mask.any()),
        "beat_full": ("a beat with T tokens", passes & beat.mask.all()),
        "row_end_inside": ("a row ends between two tokens of a beat",
                           passes & ends[0] & (beat.ends[0].position != 0)
                           & (beat.ends[0].position != len(beat.mask))),
        "bus_closed": ("tokens wait for their tile or for the array", bus.i.valid & ~bus.i_open),
        "bus_waits_for_room": ("tokens wait for a PE's queue", bus.i.valid & bus.i_open & ~bus.i.ready),
    }


def _row_queue(queue: RowQueue, m: Module) -> Points:
    words = [output.valid & output.ready & output.p.touched for output in queue.o]
    empties = [output.valid & output.ready & ~output.p.touched for output in queue.o]
    points: Points = {
        "row_queue_full": ("no room for another row", ~queue.o_room),
        "run_counter_full": ("a run of empty rows as long as can be counted", ~queue.o_run_room),
        "row_and_empties_close": ("a touched row and empty ones close in one cycle",
                                  queue.i_touched & (queue.i_empties != 0)),
        "empty_row_leaves": ("an empty row leaves", Cat(empties).any()),
        "row_queue_stalls": ("a chain does not take a word",
                             Cat(output.valid & ~output.ready for output in queue.o).any()),
    }
    if len(queue.o) > 1:
        points["both_chains_leave"] = ("items leave on both chains in one cycle",
                                       (Cat(words) | Cat(empties)).all())
        points["word_beside_empty_row"] = ("a word leaves on one chain and an empty row on the other",
                                           Cat(words).any() & Cat(empties).any())
    return points


def _pe(pe: ProcessingElement, m: Module) -> Points:
    points: Points = {
        "pe_active": ("a word is multiplied", pe.o_active),
        "pe_blocked": ("a PE waits for room in its row queue", pe.o_blocked),
        "pe_queue_full": ("a PE's queue of beats has no room", ~pe.o_room),
        "tile_beside_work": ("a tile is stored while another is multiplied", pe.o_active & pe.i_tile.valid),
    }
    if pe._config.compressed_b:
        points["packed_overflow"] = ("a packed tile does not fit", pe.o_fault.valid)
    return points


def _chain(stage: ChainStage, m: Module) -> Points:
    own, up = stage.i_own, stage.i_up
    both = own.valid & own.ready & up.valid & up.ready
    return {
        "chain_adds": ("equal words are added", both & own.p.valid.any() & up.p.valid.any()
                       & (own.p.word == up.p.word)),
        "chain_passes_own": ("a PE's word passes before the one behind",
                             own.valid & own.ready & up.valid & ~up.ready),
        "chain_passes_up": ("a word from behind passes before the PE's",
                            up.valid & up.ready & own.valid & ~own.ready),
        "chain_meets_empty": ("one side's row is empty, the other's is not",
                              both & (own.p.valid.any() ^ up.p.valid.any())),
        "chain_stalls": ("the output is not taken", stage.o.valid & ~stage.o.ready),
    }


def _collector(collector: Collector, m: Module) -> Points:
    job = collector.i_job
    taken = job.valid & job.ready
    points: Points = {name: (about, taken & job.p[name]) for name, about in (
        ("accumulate", "earlier sums are added"), ("out_raw", "sums are written raw, for a later pass"),
        ("relu", "negative sums become zero"), ("row_bias", "a bias for each row"))}
    points["partial_sums_both_ways"] = ("sums are read and written raw",
                                        taken & job.p.accumulate & job.p.out_raw)
    points["sums_repeat"] = ("one row of earlier sums for all rows",
                             taken & job.p.accumulate & (job.p.cin_stride == 0))
    points["sums_not_settled"] = ("earlier sums wait until they are in memory",
                                  job.valid & job.p.accumulate & ~collector.i_settled)
    if collector._config.scale_multipliers:
        points["out_int8"] = ("sums are scaled to int8", taken & job.p.out_int8)
        points["row_scale"] = ("a scale for each row", taken & job.p.row_scale)
    return {f"collector_{name}": point for name, point in points.items()}


def _read_port(port: ReadPort, m: Module) -> Points:
    ar = port.ar
    points: Points = {f"read_burst_{beats}": (f"a read of {beats} beats",
                                              ar.valid & ar.ready & (ar.p.length == beats - 1))
                      for beats in range(1, MAX_BURST_BEATS + 1)}
    wanted = Cat(request.valid for request in port.i_request)
    points["readers_compete"] = ("two readers ask in one cycle", (wanted & (wanted - 1)) != 0)
    points["read_address_stalls"] = ("an address is not taken at once", ar.valid & ~ar.ready)
    for number in range(len(port.o_beat)):
        points[f"reader_{number}_fails"] = (
            f"a read of stream {number} fails", port.o_error.valid & (port.o_error.reader == number))
    return points


def _writer(writer: SegmentWriter, m: Module) -> Points:
    aw, w = writer.aw, writer.w
    points: Points = {f"write_burst_{beats}": (f"a write of {beats} beats",
                                               aw.valid & aw.ready & (aw.p.length == beats - 1))
                      for beats in range(1, MAX_BURST_BEATS + 1)}
    return points | {
        "write_fails": ("a write fails", writer.o_error),
        "write_address_stalls": ("an address is not taken at once", aw.valid & ~aw.ready),
        "write_data_stalls": ("a beat is not taken at once", w.valid & ~w.ready),
        "write_data_first": ("data passes before its address", w.valid & w.ready & aw.valid & ~aw.ready),
        "write_part_of_a_beat": ("a beat of which some bytes are not written",
                                 w.valid & w.ready & ~w.p.strobe.all()),
        "writer_stalls": ("no room for another chunk", writer.i.valid & ~writer.i.ready),
    }


def _check(check: DescriptorCheck, m: Module) -> Points:
    config = check._config
    names = ["opcode", "a_format", "half", "reuse_tile", "out_raw", "rows", "k_count", "n_count",
             "slice_words", "pk_log2", "group_log2"]
    if not config.compressed_b:
        names.append("b_format")
    if config.csr_out:
        names += ["out_csr", "n_start"]
    if config.elementwise:
        names += ["b_format", "k_start", "operation", "b_values"]
    if config.sddmm:
        names += ["a_nnz", "row_bias", "row_scale"]
    return {f"refused_{name}": (f"a descriptor is refused for its {name}",
                                check.o.valid & (check.o.detail == field_number(name))) for name in names}


def _counters(counters: Counters, m: Module) -> Points:
    return {f"cycle_{name}": (f"cycles of a job: {about}", counters.o[f"count_{name}"] != 0)
            for name, about in COUNTERS}


def _control(port: ControlPort, m: Module) -> Points:
    bus = port.bus
    doorbell = port.o_start
    return {
        "doorbell": ("a job is started", doorbell),
        "write_refused": ("a write to an address without a register", bus.b.valid & (bus.b.p.response != 0)),
        "read_refused": ("a read of an address without a register", bus.r.valid & (bus.r.p.response != 0)),
        "address_first": ("a write's address comes before its data",
                          bus.aw.valid & bus.aw.ready & ~bus.w.valid),
        "data_first": ("a write's data comes before its address", bus.w.valid & bus.w.ready & ~bus.aw.valid),
        "some_strobes": ("a write of some of a register's bytes",
                         bus.w.valid & bus.w.ready & ~bus.w.p.strobe.all() & bus.w.p.strobe.any()),
        "no_strobes": ("a write of none of a register's bytes",
                       bus.w.valid & bus.w.ready & ~bus.w.p.strobe.any()),
        "write_answer_stalls": ("a write's answer is not taken at once", bus.b.valid & ~bus.b.ready),
        "read_answer_stalls": ("a read's answer is not taken at once", bus.r.valid & ~bus.r.ready),
    }


def _fetch(fetch: Fetch, m: Module) -> Points:
    return {"fetch_waits": ("the fetch waits for memory", fetch.o_waiting),
            "fetch_stalls": ("the fetch has a beat that is not taken", fetch.o.valid & ~fetch.o.ready),
            "fetch_fault": ("a matrix is malformed", fetch.o_fault.valid)}


def _packer(packer: Packer, m: Module) -> Points:
    return {"packer_stalls": ("the packer holds back a beat", packer.i.valid & ~packer.i.ready)}


def _core(core: Core, m: Module) -> Points:
    return {"all_pes_active": ("every PE multiplies in one cycle", core.o_active.all()),
            "some_pes_idle": ("some PEs multiply, others do not", core.o_active.any() & ~core.o_active.all()),
            "tile_and_tokens": ("tile and tokens move in one cycle", core.i_open & core.o_token_waits
                                & core.o_active.any() & Cat(beat.valid for beat in core.i_beat).any())}


BLOCKS: dict[type, Callable[[Any, Module], Points]] = {
    CommandProcessor: _jobs, TokenBus: _token_bus, RowQueue: _row_queue, ProcessingElement: _pe,
    ChainStage: _chain, Collector: _collector, ReadPort: _read_port, SegmentWriter: _writer,
    DescriptorCheck: _check, Counters: _counters, ControlPort: _control, Fetch: _fetch, Packer: _packer,
    Core: _core, Supervisor: _supervisor, MemoryGuard: _guard, ExtentCheck: _extents, **KERNEL_BLOCKS,
    **ROW_BLOCKS,
}


@contextmanager
def points_in_hardware(found: dict[str, str] | None = None) -> Iterator[None]:
    """Blocks that are elaborated here have their points in them; `found` gets what each means."""
    originals = {block: block.elaborate for block in BLOCKS}
    for block, points in BLOCKS.items():
        block.elaborate = _with_points(originals[block], points, found)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for block, original in originals.items():
            block.elaborate = original  # type: ignore[attr-defined]


def _with_points(original: Any, points: Callable[[Any, Module], Points], found: dict[str, str] | None) -> Any:
    def elaborate(self: Any, platform: Any) -> Module:
        m = original(self, platform)
        for name, (about, condition) in points(self, m).items():
            if found is not None:
                found[name] = about
            m.submodules[f"cover_{name}"] = Instance(
                f"{POINT_PREFIX}{name}", i_clk=ClockSignal(), i_rst=ResetSignal(),
                i_hit=Value.cast(condition).any())
        return m
    return elaborate


def point_verilog(names: Iterable[str]) -> str:
    """The modules of points: counted in each cycle in which they are hit."""
    text = """module {module} (input wire clk, input wire rst, input wire hit);
    cover property (@(posedge clk) hit && !rst);
endmodule
"""
    return "".join(text.format(module=POINT_PREFIX + name) for name in names)


def point_names(config: Config) -> dict[str, str]:
    """Every point of an array of this configuration, and what it means."""
    from hdl.emit import emit_verilog
    from hdl.top import Top

    found: dict[str, str] = {}
    with points_in_hardware(found):
        emit_verilog(Top(config), "points")
    return found
