"""A board pin to pin: the system's RTL, its serial pins on a pseudo-terminal, the real host code behind."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hdl.config import PRESETS, Config
from hdl.emit import emit_verilog
from hdl.registers import ID_VALUE, register
from sim.benches.serial_bench import CLOCK_NS
from sim.runner import run_bench
from sim.transport import BusError, TransportTimeout
from synth.boards.protocol import MAX_WORDS
from synth.boards.serial_transport import SerialTransport
from synth.boards.system import BoardSystem
from tests.products import draw_matrix, draw_options, run_checked
from tests.reduced import REDUCED
from tests.simulators import need
from zerolane.demo import run_demo
from zerolane.device import Device, DeviceError

CLOCK_HZ = 400_000   # as if: it makes the simulated line's gaps as long in cycles as they need be
BIT_CYCLES = 4
BAUD = CLOCK_HZ // BIT_CYCLES
MEMORY_BYTES = 1 << 15
SLOWNESS = 10.0
START_SECONDS = 480

pytestmark = [pytest.mark.verilator, pytest.mark.timeout(900)]


@contextmanager
def board(folder: Path, faults: float = 0.0, seed: int = 1, config: Config = REDUCED) -> Iterator[str]:
    """A simulated board; the name of the port that its line is on."""
    need("verilator")
    verilog = emit_verilog(BoardSystem(config, MEMORY_BYTES, CLOCK_HZ, BAUD), "zerolane_board")
    failures: list[BaseException] = []

    def simulate() -> None:
        try:
            run_bench("sim.benches.serial_bench", verilog, "zerolane_board", simulator="verilator",
                      test_directory=folder, open_signals=("clk", "rst", "rx", "tx"), extra_env={
                          "ZEROLANE_FOLDER": str(folder), "ZEROLANE_BIT_NS": str(BIT_CYCLES * CLOCK_NS),
                          "ZEROLANE_FAULTS": str(faults), "ZEROLANE_SEED": str(seed)})
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=simulate)
    thread.start()
    try:
        end = time.monotonic() + START_SECONDS
        while not (folder / "port").exists():
            assert not failures and time.monotonic() < end, failures
            time.sleep(0.05)
        yield (folder / "port").read_text()
    finally:
        (folder / "stop").touch()
        thread.join()
    assert not failures, failures


def connected(port: str, slowness: float = SLOWNESS) -> SerialTransport:
    return SerialTransport(port, BAUD, slowness=slowness)


def test_memory_and_registers_are_reached_over_the_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    content = rng.bytes(4 * MAX_WORDS + 33)
    with board(tmp_path) as port, connected(port) as transport:
        assert transport.memory_bytes == MEMORY_BYTES and transport.clock_hz == CLOCK_HZ
        assert transport.read_register(register("ID").address) == ID_VALUE
        transport.write_memory(7, content)
        assert transport.read_memory(7, len(content)) == content
        transport.write_memory(9, b"\xAA")
        assert transport.read_memory(7, 4) == content[:2] + b"\xAA" + content[3:4]
        with pytest.raises(BusError, match="outside the memory"):
            transport.write_memory(MEMORY_BYTES - 1, b"ab")
        with pytest.raises(BusError, match="READ_REGISTER of 1 words at 0xfc"):
            transport.read_register(0xFC)
        with pytest.raises(TransportTimeout, match=f"the board on {port} gave no interrupt in 100 cycles"):
            transport.wait_interrupt(100)


@pytest.mark.parametrize("config", [
    REDUCED, pytest.param(PRESETS["micro"], marks=pytest.mark.slow)], ids=["reduced", "micro"])
@pytest.mark.parametrize("faults", [0.0, pytest.param(0.002, marks=pytest.mark.slow)])
def test_products_are_exact_also_where_the_line_loses_doubles_and_damages_bytes(
        faults: float, config: Config, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    with board(tmp_path, faults, config=config) as port, connected(port) as transport:
        with Device(config, simulator=transport) as device:
            for bias, scale in ((None, None), ("row", "one")):
                a = draw_matrix(rng, 7, 9, 0.5, "csr")
                b = draw_matrix(rng, 9, 5, 0.8, "dense")
                run_checked(device, a, b, **draw_options(rng, 7, 5, bias, scale, True))
        assert (transport.repeated > 0) == (faults > 0)


@pytest.mark.slow
def test_the_demo_runs_on_a_board(tmp_path: Path) -> None:
    with board(tmp_path) as port, Device(REDUCED, simulator=connected(port)) as device:
        assert run_demo(device, lambda text: None, 8).mismatches == 0


@pytest.mark.slow
def test_a_board_that_stops_answering_is_a_timeout_and_a_new_connection_works(tmp_path: Path) -> None:
    with board(tmp_path) as port:
        with connected(port) as transport:
            transport.write_memory(0, b"kept")
            (tmp_path / "mute").touch()
            transport._slowness = 1.0
            with pytest.raises(TransportTimeout, match="gave no answer to READ_MEMORY in 5 tries"):
                transport.read_memory(0, 4)
        with pytest.raises(TransportTimeout, match=f"the board on {port} gave no answer to INFO"):
            connected(port, 1.0)
        (tmp_path / "mute").unlink()
        with connected(port) as transport:
            assert transport.read_memory(0, 4) == b"kept"


def test_a_job_that_a_host_left_running_is_taken_off_the_board_by_the_next_host(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    long, short = (draw_matrix(rng, side, side, 1.0, "dense") for side in (64, 5))
    with board(tmp_path) as port:
        transport = connected(port)

        def killed(timeout_cycles: int) -> None:
            transport.close()
            raise KeyboardInterrupt

        transport.wait_interrupt = killed
        device = Device(REDUCED, simulator=transport)
        with pytest.raises(KeyboardInterrupt):
            device.matmul(long, long)
        said: list[str] = []
        # In a hurry: the job is to run still.
        transport = connected(port, 1.0)
        with Device(REDUCED, simulator=transport, progress=said.append) as device:
            transport._slowness = SLOWNESS
            run_checked(device, short, short)
        assert said == ["the array was busy with the job of a host that was ended; it is reset"]


@pytest.mark.slow
def test_a_board_whose_host_is_interrupted_takes_the_next_job(tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    long, short = (draw_matrix(rng, side, side, 1.0, "dense") for side in (64, 5))

    def interrupted(timeout_cycles: int) -> None:
        raise KeyboardInterrupt

    with board(tmp_path) as port, Device(REDUCED, simulator=connected(port)) as device:
        transport = device.transport
        with monkeypatch.context() as patched:
            patched.setattr(transport, "wait_interrupt", interrupted)
            with pytest.raises(KeyboardInterrupt):
                device.matmul(long, long)
        run_checked(device, short, short)


def test_an_array_of_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    with board(tmp_path) as port, connected(port) as transport:
        with pytest.raises(DeviceError, match="configuration 'small' has"):
            Device(PRESETS["small"], simulator=transport)
