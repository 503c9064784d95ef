"""zerolane.timeline and sim.trace: the trace's events, and that they agree with the array's own counters."""

import json
from pathlib import Path

import numpy as np
import pytest

from hdl.config import PRESETS
from tests.simulators import need
from zerolane.device import Device, DeviceError
from zerolane.timeline import Activity, read_trace, trace_events, write_timeline

NAMES = [("PE 0", "multiply"), ("PE 1", "multiply"), ("PE 1", "wait for room for a row"),
         *((f"part {number}", "works") for number in range(7))]


def written(tmp_path: Path) -> Activity:
    (tmp_path / "trace.txt").write_text("0 001\n3 203\n4 200\n8 002\nend 10\n")
    return read_trace(tmp_path / "trace.txt", NAMES)


def test_runs_are_from_a_bits_rise_to_its_fall_or_the_jobs_end(tmp_path: Path) -> None:
    activity = written(tmp_path)
    runs = [tuple(side.tolist() for side in activity.intervals(number)) for number in (0, 1, 2, 9)]
    assert runs == [([0], [4]), ([3, 8], [4, 10]), ([], []), ([3], [8])]
    assert activity.cycles == 10


def test_a_trace_has_a_named_row_for_each_activity_and_an_event_for_each_run(tmp_path: Path) -> None:
    write_timeline(tmp_path / "t.json", [("first", written(tmp_path)), ("second", written(tmp_path))])
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    rows = [event["args"]["name"] for event in events if event["name"] == "thread_name" and event["pid"] == 2]
    assert rows == ["PE 0: multiply", "PE 1: multiply", "PE 1: wait for room for a row",
                    *(f"part {number}: works" for number in range(7))]
    runs = [event for event in events if event["ph"] == "X" and event["pid"] == 1]
    assert {(event["tid"], event["ts"], event["dur"]) for event in runs} == {
        (0, 0, 4), (1, 3, 1), (1, 8, 2), (9, 3, 5)}


def test_too_many_runs_are_merged_and_their_active_cycles_kept(tmp_path: Path) -> None:
    rows = np.arange(1000, dtype=np.uint8).reshape(-1, 1) & 1
    activity = Activity([("PE 0", "multiply")], 1000, np.arange(1000), rows)
    runs = [event for event in trace_events(activity, 1, "job", most=20) if event["ph"] == "X"]
    assert len(runs) <= 20 and sum(event["args"]["active"] for event in runs) == 500


def test_a_trace_of_a_job_that_did_not_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trace.txt").write_text("0 001\n")
    with pytest.raises(ValueError, match="no end"):
        read_trace(tmp_path / "trace.txt", NAMES)


def test_a_device_without_a_trace_says_so() -> None:
    with pytest.raises(DeviceError, match="trace=True"):
        Device("tiny", "icarus").activity()


@pytest.mark.icarus
def test_the_traced_array_takes_the_same_cycles_and_its_trace_agrees_with_the_counters() -> None:
    need("icarus")
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (6, 16), np.int8), rng.integers(-128, 128, (16, 8), np.int8)
    with Device(PRESETS["tiny"], "icarus", trace=True) as device:
        for _ in range(2):
            np.testing.assert_array_equal(device.matmul(a, b), a.astype(int) @ b)
            activity, job = device.activity(), device.last_job
            assert job is not None
            active = {}
            for number, name in enumerate(activity.names):
                first, last = activity.intervals(number)
                active[name] = int((last - first).sum())
            assert activity.cycles == job.cycles
            assert sum(count for (_, what), count in active.items() if what == "multiply") == job.mac_words
            assert active["memory port", "read beat"] == job.read_beats
            assert active["memory port", "write beat"] == job.write_beats
    with Device(PRESETS["tiny"], "icarus") as plain:
        plain.matmul(a, b)
        assert plain.last_job is not None and plain.last_job.cycles == job.cycles
