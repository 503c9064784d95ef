"""Units of random speed around a command processor."""

import random
from dataclasses import dataclass, field
from typing import Any

from amaranth.lib import data
from amaranth.sim import Simulator

from hdl.config import Config
from sim.models.command import BASE, UNITS, pack
from sim.models.supervised import Supervised
from tests.harness import as_python

__all__ = ["Machine", "ended"]


@dataclass
class Machine:
    """Units of random speed around a command processor, and a log of what happened when."""

    config: Config
    descriptors: list[dict[str, int]]
    seed: int = 0
    latency: int = 12
    tile_cycles: int = 30
    token_cycles: int = 60
    slow: bool = True                # random speeds, random waits before a job is taken
    faults: dict = field(default_factory=dict)  # cycle to a dict of inputs that are set for that cycle
    settings: dict = field(default_factory=dict)  # inputs that are set before the job and stay
    faulty_jobs: int = 1 << 30       # so many jobs have these faults
    bad_beats: frozenset = frozenset()
    count: int | None = None
    address: int = BASE
    timeout: int = 5000
    log: list = field(default_factory=list)

    def cycle_of(self, event: str, number: int) -> int:
        """When an event happened for the number-th time."""
        return [cycle for cycle, name in self.log if name == event][number]

    def times(self, event: str) -> int:
        return sum(name == event for _, name in self.log)

    def run(self, jobs: int = 1) -> list[dict]:
        """Ring the doorbell `jobs` times; the status after each."""
        dut = Supervised(self.config)
        self.jobs: dict[str, list] = {unit: [] for unit in UNITS}
        self.owners: list[dict] = []
        statuses: list[dict] = []
        simulator = Simulator(dut)
        simulator.add_clock(1e-6)

        async def testbench(ctx) -> None:
            for number in range(jobs):
                faults = self.faults if number < self.faulty_jobs else {}
                statuses.append(await self._job(ctx, dut, faults))

        simulator.add_testbench(testbench)
        simulator.run()
        return statuses

    async def _job(self, ctx, dut, faults: dict) -> dict:
        config, rng = self.config, random.Random(self.seed)
        memory = b"".join(pack(values) for values in self.descriptors)
        width, first = config.port_bytes, len(self.log)
        beats: list[tuple[int, int, int]] = []     # (cycle, data, error) of answers on their way
        stream = {unit: getattr(dut, f"o_{unit}_job") for unit in UNITS}
        loading, fetching, routing = 0, 0, []      # cycles left; token counts that the router knows
        tokens: list[int] = []                     # of fetched jobs in order
        draining: int | None = None
        collecting, finishing, writing = False, 0, 0
        held = 0
        unwritten, written = 0, 0                  # collected jobs; those of them whose writes are answered
        closed, cycle, done = False, 0, None
        owner: dict | None = None                  # the PeJob that the tokens in the array belong to

        def span(nominal: int) -> int:
            return rng.randrange(1, 2 * nominal) if self.slow else nominal

        ctx.set(dut.i_count, len(self.descriptors) if self.count is None else self.count)
        ctx.set(dut.i_descriptor, self.address)
        for name, value in self.settings.items():
            ctx.set(member(dut, name), value)
        await ctx.tick()
        ctx.set(dut.i_start, 1)
        while done is None or cycle < done + 20:
            assert cycle < self.timeout, f"no end; {self.log[first:]}"
            eager = {unit: not self.slow or rng.random() < 0.4 for unit in UNITS}
            ready = {
                "fetch": fetching == 0 and len(tokens) < 2 and eager["fetch"],
                "router": not routing and eager["router"], "tile": loading == 0 and eager["tile"],
                "collector": not collecting and eager["collector"]}
            for unit in UNITS:
                ctx.set(stream[unit].ready, ready[unit])
            request_ready = eager["fetch"] and not ctx.get(dut.o_close)
            ctx.set(dut.o_request.ready, request_ready)
            ctx.set(dut.i_quiet, not beats)
            ctx.set(dut.i_moves, 1)
            beat = beats.pop(0) if beats and beats[0][0] <= cycle else None
            ctx.set(dut.i_beat.valid, beat is not None)
            if beat is not None:
                ctx.set(dut.i_beat.payload, {"data": beat[1], "error": beat[2]})
                self.log.append((cycle, "beat"))
            ctx.set(dut.i_collector_idle, not collecting)
            ctx.set(dut.i_writer_idle, writing == 0 and written <= 1)
            ctx.set(dut.i_job_written, written > 0)
            written = max(0, written - 1)
            ctx.set(dut.i_tile_done, loading == 1)
            ctx.set(dut.i_drained, draining == 0)
            for name, value in faults.get(cycle, {}).items():
                ctx.set(member(dut, name), value)
            opened = ctx.get(dut.o_open)
            if not opened:
                closed = False
            passes = opened and not closed and tokens and routing and fetching < 5
            if passes:
                if "pass" not in [name for _, name in self.log[-1:]]:
                    self.log.append((cycle, "pass"))
                tokens[0] -= 1
            last = bool(passes and tokens[0] == 0)
            ctx.set(dut.i_last, last)
            sampled = await ctx.tick().sample(
                dut.o_request.valid, dut.o_request.payload, *(stream[unit].valid for unit in UNITS),
                *(stream[unit].payload for unit in UNITS), dut.o_pe_job, dut.o_finished, dut.o_status.busy,
                dut.o_reset, dut.o_close, dut.o_hold)
            _, _, asks, request, *rest = sampled
            valid, payload = dict(zip(UNITS, rest[:4], strict=True)), dict(zip(UNITS, rest[4:8], strict=True))
            pe_job, finished, busy, reset, closed_port, hold = as_python(rest[8]), *rest[9:]
            if hold != held:
                self.log.append((cycle, "hold rises" if hold else "hold falls"))
            held = hold
            if not busy and cycle and done is None and any("i_reset" in inputs for inputs in faults.values()):
                done = cycle
            if reset:
                loading = fetching = finishing = writing = unwritten = written = 0
                tokens, routing, draining, collecting, owner = [], [], None, False, None
            if reset or closed_port:
                last = False
            assert bool(busy) == (0 < cycle and done is None)
            for name in faults.get(cycle, {}):
                target = member(dut, name)
                ctx.set(target, {} if isinstance(target, data.View) else 0)
            ctx.set(dut.i_start, 0)
            # ---- memory ----
            if asks and request_ready:
                self.log.append((cycle, "request"))
                start, count = request["address"], request["beats"] + 1
                assert start // config.burst_bytes == (start + count * width - 1) // config.burst_bytes
                due = max(cycle + self.latency, beats[-1][0] + 1 if beats else 0)
                for number in range(count):
                    place = start - self.address + number * width
                    word = int.from_bytes(memory[place:place + width], "little")
                    beats.append((due + number, word, int(place // width in self.bad_beats)))
            # ---- units ----
            for unit in UNITS if not reset else ():
                if valid[unit]:
                    self.log.append((cycle, f"{unit} offered"))
                if valid[unit] and ready[unit]:
                    self.jobs[unit].append(as_python(payload[unit]))
                    self.log.append((cycle, unit))
            if loading == 1:
                self.log.append((cycle, "tile done"))
            loading = span(self.tile_cycles) if valid["tile"] and ready["tile"] else max(0, loading - 1)
            fetching = max(0, fetching - 1)
            if valid["fetch"] and ready["fetch"]:
                tokens.append(span(self.token_cycles))
                fetching = span(10) + 5
            if last:
                assert draining is None and collecting, "tokens passed without a collector"
                self.log.append((cycle, "last"))
                self.owners.append(pe_job)
                tokens.pop(0)
                routing.pop()
                closed, draining = True, span(6)
            elif draining == 0:
                self.log.append((cycle, "drained"))
                draining, finishing = None, span(4)
            elif draining is not None:
                draining -= 1
            if valid["router"] and ready["router"]:
                routing.append(1)
            if writing == 1 and not finishing:
                self.log.append((cycle, "written"))
                written, unwritten = written + unwritten, 0
            writing = max(0, writing - 1)
            if finishing:
                finishing -= 1
                writing = span(15)
                if not finishing:
                    collecting = False
                    unwritten += 1
            if valid["collector"] and ready["collector"]:
                collecting = True
            if passes or draining is not None:
                assert owner in (None, pe_job), "PeJob changed before the array had drained"
                owner = pe_job
            elif not opened:
                owner = None
            if finished:
                assert done is None and not beats
                assert closed_port or not (collecting or writing or written or draining is not None)
                done = cycle
                self.log.append((cycle, "finished"))
            cycle += 1
        status = {name: ctx.get(dut.o_status[name]) for name in ("busy", "completed")}
        self.address_named = ctx.get(dut.o_status.error.address)
        error = dut.o_status.error
        return status | {name: ctx.get(error[name]) for name in ("code", "detail", "descriptor")}


def member(dut: Supervised, name: str) -> Any:
    """`name` or, of an array, `name.number`."""
    name, _, number = name.partition(".")
    found = getattr(dut, name)
    if number:
        return found[int(number)] if number.isdigit() else found[number]
    return found


def ended(completed: int, code: int = 0, detail: int = 0, descriptor: int = 0) -> dict[str, int]:
    return {"busy": 0, "completed": completed, "code": code, "detail": detail, "descriptor": descriptor}
