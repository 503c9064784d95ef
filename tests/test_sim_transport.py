"""sim.transport: memory, registers, interrupt and time are the same on every simulator."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hdl.config import PRESETS, Config
from sim import tools
from sim.transport import (
    BusError,
    ProtocolError,
    SimulatorDied,
    ToolMissing,
    Transport,
    TransportError,
    TransportTimeout,
    open_simulator,
)
from tests.dma import BEATS, DESTINATION, DOORBELL, IRQ, MUTE, READ_ONLY, SOURCE, Dma
from tests.simulators import COCOTB_SIMULATORS, EVERY_SIMULATOR, need

CONFIG = PRESETS["small"]
SIZE = CONFIG.port_bytes
MEMORY_BYTES = 64 * 1024


def opened(simulator: str, **options: Any) -> Transport:
    need(simulator)
    return open_simulator(simulator, CONFIG, memory_bytes=MEMORY_BYTES, design=Dma, **options)


def copy(transport: Transport, source: int, destination: int, beats: int, read_only: bool = False) -> int:
    """Have the design copy; the cycle at which the host saw the interrupt."""
    for register, value in ((SOURCE, source), (DESTINATION, destination), (BEATS, beats),
                            (READ_ONLY, read_only), (DOORBELL, 1)):
        transport.write_register(register, value)
    transport.wait_interrupt(100_000)
    transport.write_register(IRQ, 1)
    return transport.stats.cycles


def session(transport: Transport) -> tuple[list[int], bytes]:
    """The same few jobs: cycle counts after each step, and the memory at the end."""
    rng = np.random.default_rng(5)
    transport.write_memory(5, rng.integers(0, 256, 3001, dtype=np.uint8))
    cycles = [copy(transport, 0, 8192, 64), copy(transport, 128, 16384, 250)]
    transport.write_memory(8195, b"\x00\x01\x02")
    transport.run_cycles(17)
    cycles.append(transport.stats.cycles)
    cycles.append(copy(transport, 8192 + 40, 32768 + 8, 33))
    assert transport.read_register(BEATS) == 33
    cycles.append(transport.stats.cycles)
    return cycles, transport.read_memory(0, MEMORY_BYTES)


@pytest.fixture(scope="module")
def reference() -> dict[tuple, tuple[list[int], bytes]]:
    results = {}
    for latency, gaps in ((32, 0.0), (7, 0.25)):
        with opened("amaranth", latency_cycles=latency, gaps=gaps, seed=3) as transport:
            results[latency, gaps] = session(transport)
    return results


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
@pytest.mark.parametrize(("latency", "gaps"), [(32, 0.0), (7, 0.25)])
def test_the_same_calls_give_the_same_cycles_and_memory(simulator: str, latency: int, gaps: float,
                                                        reference: dict) -> None:
    with opened(simulator, latency_cycles=latency, gaps=gaps, seed=3) as transport:
        assert session(transport) == reference[latency, gaps]


def test_a_copy_moves_what_a_slice_assignment_moves(reference: dict) -> None:
    model = bytearray(MEMORY_BYTES)
    model[5:3006] = np.random.default_rng(5).integers(0, 256, 3001, dtype=np.uint8).tobytes()
    model[8192:8192 + 64 * SIZE] = model[:64 * SIZE]
    model[16384:16384 + 250 * SIZE] = model[128:128 + 250 * SIZE]
    model[8195:8198] = b"\x00\x01\x02"
    model[32776:32776 + 33 * SIZE] = model[8232:8232 + 33 * SIZE]
    assert [memory for _, memory in reference.values()] == [bytes(model)] * 2


def test_gaps_depend_on_the_seed_and_on_nothing_else() -> None:
    def cycles(seed: int) -> int:
        with opened("amaranth", gaps=0.4, seed=seed) as transport:
            return copy(transport, 0, 8192, 64)

    assert cycles(1) == cycles(1) != cycles(2)


@pytest.mark.parametrize("simulator", EVERY_SIMULATOR)
def test_memory_takes_and_gives_bytes_at_any_address(simulator: str) -> None:
    rng = np.random.default_rng(1)
    model = bytearray(MEMORY_BYTES)
    with opened(simulator) as transport:
        assert transport.memory_bytes == MEMORY_BYTES and transport.simulator == simulator
        for _ in range(12):
            length, = rng.integers(0, 70, 1)
            address = int(rng.integers(0, MEMORY_BYTES - length))
            data = rng.integers(0, 256, length, dtype=np.uint8).tobytes()
            transport.write_memory(address, data)
            model[address:address + length] = data
        transport.write_memory(MEMORY_BYTES - 8, np.arange(2, dtype=np.int32))
        model[-8:] = b"\0\0\0\0\1\0\0\0"
        assert transport.read_memory(0, MEMORY_BYTES) == model
        assert transport.read_memory(1001, 13) == model[1001:1014]
        assert transport.stats.cycles == 0
        with pytest.raises(BusError, match="outside the memory"):
            transport.write_memory(MEMORY_BYTES - 3, b"1234")
        with pytest.raises(BusError, match="outside the memory"):
            transport.read_memory(-1, 4)


@pytest.mark.parametrize("simulator", EVERY_SIMULATOR)
def test_errors_of_the_design_become_exceptions_and_the_simulator_goes_on(simulator: str) -> None:
    with opened(simulator) as transport:
        with pytest.raises(BusError, match="register 0x80, read: answered with error 2"):
            transport.read_register(0x80)
        with pytest.raises(BusError, match="register 0x84, write"):
            transport.write_register(0x84, 1)
        with pytest.raises(TransportTimeout, match="no interrupt in 500 cycles"):
            transport.wait_interrupt(500)
        with pytest.raises(ValueError, match="32 bits"):
            transport.write_register(0, -1)
        transport.write_register(BEATS, 0xFFFF_FFFF)
        assert transport.read_register(BEATS) == 0xFFFF_FFFF
        # Never answered, so nothing can follow it.
        with pytest.raises(TransportTimeout, match="register 0x18, read: no answer in 10000 cycles"):
            transport.read_register(MUTE)


# Not on Verilator: the same Verilog as on Icarus, but another model would have to be built.
@pytest.mark.parametrize("simulator", EVERY_SIMULATOR[1:])
def test_a_broken_rule_of_the_bus_is_an_error(simulator: str) -> None:
    need(simulator)

    def broken(config: Config) -> Dma:
        return Dma(config, broken_last=True)

    with (open_simulator(simulator, CONFIG, memory_bytes=MEMORY_BYTES, design=broken) as transport,
          pytest.raises(ProtocolError, match="WLAST")):
        copy(transport, 0, 4096, 16)


def test_reading_moves_a_beat_in_every_cycle_and_copying_in_every_other() -> None:
    with opened("amaranth") as transport:
        cycles = [copy(transport, 0, 0, beats, read_only) for beats, read_only in
                  ((0, True), (256, True), (0, False), (256, False))]
    reading, copying = cycles[1] - 2 * cycles[0], cycles[3] - cycles[2] - cycles[0]
    assert 256 + 30 <= reading <= 256 + 40
    assert 512 + 60 <= copying <= 512 + 80


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_a_dead_simulator_is_a_clear_error_with_the_end_of_its_log(simulator: str) -> None:
    with opened(simulator) as transport:
        transport.write_register(BEATS, 3)
        os.kill(transport.process.pid, signal.SIGKILL)
        with pytest.raises(SimulatorDied, match=rf"{simulator} simulator was ended by SIGKILL(.|\n)*cocotb"):
            transport.read_register(BEATS)


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_closing_ends_the_process_and_removes_its_directory(simulator: str) -> None:
    transport = opened(simulator)
    directory, process = transport.directory, transport.process
    assert directory.exists() and process.poll() is None
    transport.close()
    transport.close()
    assert not directory.exists() and process.returncode == 0
    with pytest.raises(TransportError, match="closed"):
        transport.read_register(BEATS)


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_a_forgotten_transport_ends_its_process(simulator: str) -> None:
    transport = opened(simulator)
    directory, process = transport.directory, transport.process
    del transport
    assert not directory.exists() and process.returncode == 0


@pytest.mark.parametrize("simulator", COCOTB_SIMULATORS)
def test_a_simulator_ends_with_its_host_even_within_a_command(simulator: str, tmp_path: Path) -> None:
    opened(simulator).close()  # so that the model is built
    script = tmp_path / "host.py"
    script.write_text(
        "from tests.test_sim_transport import opened\n"
        f"transport = opened({simulator!r})\n"
        "print(transport.process.pid, transport.directory, flush=True)\n"
        "transport.run_cycles(2**31 - 1)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    host = subprocess.Popen([sys.executable, script], env=environment, stdout=subprocess.PIPE, text=True)
    process, directory = host.stdout.readline().split()
    time.sleep(0.5)
    host.kill()
    host.wait()
    host.stdout.close()
    shutil.rmtree(directory)
    for _ in range(100):
        if not Path(f"/proc/{process}").exists():
            return
        time.sleep(0.1)
    pytest.fail(f"process {process} still runs")


@pytest.mark.parametrize("simulator", EVERY_SIMULATOR)
def test_a_simulator_whose_command_was_interrupted_is_closed_and_says_so(simulator: str) -> None:
    main, before = threading.main_thread().ident, signal.getsignal(signal.SIGINT)
    assert main is not None
    with opened(simulator) as transport:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt = threading.Timer(1.0, signal.pthread_kill, (main, signal.SIGINT))
        interrupt.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                transport.run_cycles((1 << 31) - 1)
        finally:
            interrupt.join()
            signal.signal(signal.SIGINT, before)
        for use in (lambda: transport.read_register(BEATS), lambda: transport.read_memory(0, 4)):
            with pytest.raises(TransportError) as caught:
                use()
            assert str(caught.value) == (f"the {simulator} simulator was closed, as a command to it was "
                                         "broken off (KeyboardInterrupt)")


def test_a_closed_amaranth_transport_says_so() -> None:
    transport = opened("amaranth")
    transport.close()
    with pytest.raises(TransportError, match="closed"):
        transport.read_memory(0, 1)


def test_auto_takes_verilator_where_a_compiler_is_and_says_what_it_took_otherwise(
        monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    with open_simulator("auto", CONFIG, memory_bytes=4096, design=Dma, report=said.append) as transport:
        assert transport.simulator == "amaranth"
    assert "g++ and make" in said[0] and "apt install g++ make" in said[0]


@pytest.mark.parametrize(("options", "message"), [
    ({"name": "questa"}, "auto, verilator, icarus, amaranth"),
    ({"memory_bytes": 0}, "memory_bytes = 0"),
    ({"latency_cycles": 1}, "latency_cycles = 1"),
    ({"gaps": 1.0}, "gaps = 1.0"),
])
def test_a_parameter_out_of_range_is_named(options: dict, message: str) -> None:
    arguments = {"name": "amaranth", "memory_bytes": 4096, **options}
    with pytest.raises(ValueError, match=message):
        open_simulator(arguments.pop("name"), CONFIG, design=Dma, **arguments)


def test_missing_icarus_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.shutil, "which", lambda name: None)
    with pytest.raises(ToolMissing, match=r"icarus needs iverilog and vvp.*apt install iverilog"):
        open_simulator("icarus", CONFIG, memory_bytes=4096, design=Dma)


@pytest.mark.verilator
def test_a_megabyte_goes_in_and_out_in_well_under_a_second() -> None:
    need("verilator")
    data = np.random.default_rng(2).integers(0, 256, 1 << 20, dtype=np.uint8)
    with open_simulator("verilator", CONFIG, memory_bytes=1 << 20, design=Dma) as transport:
        start = time.perf_counter()
        transport.write_memory(0, data)
        assert transport.read_memory(0, 1 << 20) == data.tobytes()
        assert time.perf_counter() - start < 2


@pytest.mark.verilator
def test_verilator_simulates_hundreds_of_thousands_of_cycles_a_second() -> None:
    with opened("verilator") as transport:
        transport.run_cycles(400_000)
        assert transport.stats.cycles_per_second > 100_000


def test_a_directory_with_spaces_is_refused_for_builds(tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    need("icarus")
    monkeypatch.setenv("ZEROLANE_CACHE", str(tmp_path / "with space"))
    with pytest.raises(TransportError, match="spaces"):
        opened("icarus")
