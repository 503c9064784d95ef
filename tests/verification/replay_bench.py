"""Runs inside the simulator: plays recordings on one mutant of the array after the other, each in a fork.

$ZEROLANE_REPLAY names a JSON file: `recording`, `mutants` (numbers; 0 is the array itself), `verdicts` (a
file that gets a JSON line for each mutant: `mutant`, `verdict`, `label`, `step`), `processes`, `fork` (false:
the only mutant is played in this process, which then ends as a simulation does).

A fork copies the simulation as it stands before the first clock, so that no mutant sees what another left
behind. It ends at the first answer that is not the recorded one.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

from sim.benches.server_bench import INPUTS, pulse, run, set_pins
from sim.host_port import HostCommand
from sim.storage import DUMP_FILE, LOAD_FILE
from tests.verification.recording import OUT_OF_TIME, digest, read_recording
from tests.verification.system import KNOBS_PATH

SPARE_CYCLES = 8
MOST_SECONDS = 900
"""Of computing, not by the clock: other processes may have the machine."""


class Differs(Exception):
    """What the array did is not what was recorded."""


async def play(dut: Any, steps: list[list[Any]], mutant: int, signatures: list[int],
               noted: list[int] | None = None) -> dict[str, Any]:
    """Verdict "same", or what differed first; `noted` gets the signatures in place of being held to them."""
    for name in INPUTS:
        getattr(dut, name).value = 0
    set_pins(dut, {f"{KNOBS_PATH}.mutant": mutant})
    await Timer(1, unit="ns")
    knobs = dut.harness.array.knobs
    start = before = 0
    expected_signatures = iter(signatures)
    label = ""
    for number, step in enumerate(steps):
        try:
            match step:
                case ["label", label]:
                    pass
                case ["set", values]:
                    set_pins(dut, values)
                    await Timer(1, unit="ns")
                case ["load", text]:
                    Path(LOAD_FILE).write_text(text)
                    await pulse(dut.load)
                case ["dump", first, last, expected]:
                    dut.dump_first.value, dut.dump_last.value = first, last
                    await Timer(1, unit="ns")
                    await pulse(dut.dump)
                    if digest(Path(DUMP_FILE)) != expected:
                        raise Differs("memory")
                case ["run", kind, address, data, expected]:
                    if kind == HostCommand.WAIT.value:
                        # An interrupt that is late is a difference, too: no need to wait for it.
                        data = min(data, expected["cycles"] - before + SPARE_CYCLES)
                    start ^= 1
                    answer = await run(dut, {"kind": kind, "address": address, "data": data}, start)
                    if broken := int(knobs.violation.value):
                        raise Differs(f"AXI rule {broken.bit_length() - 1}")
                    signature = int(knobs.signature.value)
                    if noted is not None:
                        noted.append(signature)
                    elif signature != next(expected_signatures):
                        # What the host sees says more, if it differs, too.
                        different = [name for name, value in expected.items() if answer[name] != value]
                        raise Differs(different[0] if different else "traffic")
                    for name, value in expected.items():
                        if answer[name] != value:
                            raise Differs(name)
                    before = expected["cycles"]
        except Differs as difference:
            return {"verdict": str(difference), "label": label, "step": number}
    return {"verdict": "same", "label": "", "step": len(steps)}


async def in_a_fork(dut: Any, steps: list[list[Any]], mutant: int, verdicts: Path, signatures: list[int],
                    note: Path | None = None) -> int:
    """The parent gets the child's number; the child plays and never returns."""
    if child := os.fork():
        return child
    try:
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        directory = Path(f"mutant_{mutant}")
        directory.mkdir()
        os.chdir(directory)
        noted: list[int] = []
        verdict = await play(dut, steps, mutant, signatures, None if note is None else noted)
        if note is not None:
            note.write_text(json.dumps(noted))
        with open(verdicts, "a") as file:
            file.write(json.dumps({"mutant": mutant, **verdict}) + "\n")
        for leftover in Path(".").iterdir():
            leftover.unlink()
        os.chdir("..")
        directory.rmdir()
    finally:
        os._exit(0)


def await_one(running: dict[int, int], verdicts: Path) -> None:
    """Until one of the forks ends; one that took too long, or was killed, says nothing of its mutant."""
    child, status = os.wait()
    mutant = running.pop(child)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGKILL):
        with open(verdicts, "a") as file:
            file.write(json.dumps({"mutant": mutant, "verdict": OUT_OF_TIME, "label": "", "step": 0}) + "\n")


@cocotb.test()
async def replay(dut: Any) -> None:
    job = json.loads(Path(os.environ["ZEROLANE_REPLAY"]).read_text())
    steps, verdicts = read_recording(Path(job["recording"])), Path(job["verdicts"])
    if not job["fork"]:
        (mutant,) = job["mutants"]
        verdict = await play(dut, steps, mutant, [], [])
        verdicts.write_text(json.dumps({"mutant": mutant, **verdict}) + "\n")
        return
    # The array itself first: what its traffic is, which every mutant is held to.
    note = Path("signatures.json").resolve()
    os.waitpid(await in_a_fork(dut, steps, 0, verdicts, [], note), 0)
    signatures = json.loads(note.read_text())
    running: dict[int, int] = {}
    for mutant in job["mutants"]:
        running[await in_a_fork(dut, steps, mutant, verdicts, signatures)] = mutant
        while len(running) >= job["processes"]:
            await_one(running, verdicts)
    while running:
        await_one(running, verdicts)
