"""A job's activity over time, as a trace that Perfetto and chrome://tracing open.

Format: "Trace Event Format" of the Chromium project, JSON object form; one cycle is shown as one microsecond.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from zerolane.outputs import write_files

__all__ = ["Activity", "read_trace", "trace_events", "write_timeline"]

_MOST_EVENTS = 400_000  # of a whole trace: viewers stay quick


@dataclass(frozen=True, eq=False)
class Activity:
    """What happened in a job.

    Attributes
    ----------
    names : (track, activity) of each bit
    cycles : of the job
    changes : int64 (lines,), cycles in which any bit changed, from 0 on
    rows : uint8 (lines, bytes), the bits from that cycle on, bit n in byte n // 8
    """

    names: list[tuple[str, str]]
    cycles: int
    changes: npt.NDArray[np.int64]
    rows: npt.NDArray[np.uint8]

    def intervals(self, number: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First cycles of a bit's runs of ones, and the cycles after their last."""
        bit = (self.rows[:, number // 8] >> number % 8 & 1).astype(np.int8)
        edges = np.diff(bit, prepend=0, append=0)
        ends = np.append(self.changes, self.cycles)
        return ends[edges == 1], ends[edges == -1]


def read_trace(path: Path, names: list[tuple[str, str]]) -> Activity:
    """What `sim/trace.v` wrote; ValueError if it is not whole."""
    lines = path.read_text().split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if not lines or not lines[-1].startswith("end "):
        raise ValueError(f"{path}: the trace has no end: the job did not end")
    pairs = [line.split() for line in lines[:-1]]
    digits = -(-len(names) // 4) + -(-len(names) // 4) % 2
    content = bytes.fromhex("".join(pair[1].rjust(digits, "0") for pair in pairs))
    rows = np.frombuffer(content, np.uint8).reshape(len(pairs), digits // 2)[:, ::-1]
    changes = np.array([int(pair[0]) for pair in pairs], np.int64)
    return Activity(names, int(lines[-1].split()[1]), changes, rows)


def trace_events(activity: Activity, process: int, title: str,
                 most: int = _MOST_EVENTS) -> list[dict[str, Any]]:
    """Events of one job, shown as one process with a row for each activity, those of a track side by side.

    (A row of its own each: events of one row may not overlap.) Where there are more than `most` runs, those
    with short gaps between them become one event, whose argument `active` still counts the cycles that were
    not gaps.
    """
    tracks = list(dict.fromkeys(track for track, _ in activity.names))
    order = sorted(range(len(activity.names)), key=lambda number: tracks.index(activity.names[number][0]))
    events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": process, "tid": 0,
                                     "args": {"name": title}}]
    for place, number in enumerate(order):
        events += [{"ph": "M", "name": name, "pid": process, "tid": number, "args": arguments}
                   for name, arguments in (("thread_name", {"name": ": ".join(activity.names[number])}),
                                           ("thread_sort_index", {"sort_index": place}))]
    runs = [activity.intervals(number) for number in range(len(activity.names))]
    gap = 0
    merged = _merged(runs, gap)
    while sum(len(first) for first, _, _ in merged) > most and gap < activity.cycles:
        gap = max(1, 2 * gap)
        merged = _merged(runs, gap)
    for number, (first, last, active) in enumerate(merged):
        spans = zip(first.tolist(), last.tolist(), active.tolist(), strict=True)
        events += [{"ph": "X", "name": activity.names[number][1], "pid": process, "tid": number,
                    "ts": start, "dur": stop - start, "args": {"active": cycles}}
                   for start, stop, cycles in spans]
    return events


def _merged(runs: list[tuple[npt.NDArray, npt.NDArray]], gap: int) -> list[tuple[npt.NDArray, ...]]:
    """First cycle, end and active cycles of runs; those at most `gap` cycles apart become one."""
    result: list[tuple[npt.NDArray, ...]] = []
    for first, last in runs:
        begins = np.ones(len(first), bool)
        begins[1:] = first[1:] - last[:-1] > gap
        places = np.flatnonzero(begins)
        ends = last[np.append(places[1:], len(last)) - 1] if len(last) else last
        active = np.add.reduceat(last - first, places) if len(places) else last
        result.append((first[begins], ends, active))
    return result


def write_timeline(path: Path, jobs: list[tuple[str, Activity]]) -> None:
    """One trace of all jobs, each a process of its own that begins at 0."""
    most = _MOST_EVENTS // max(1, len(jobs))
    events = [event for number, (title, activity) in enumerate(jobs)
              for event in trace_events(activity, number + 1, title, most)]
    write_files({path: json.dumps({"displayTimeUnit": "ns", "traceEvents": events,
                                   "otherData": {"unit": "1 us is one clock cycle"}}) + "\n"})
