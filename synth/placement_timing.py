"""Which connections of a placed design are slow: delays of the cells from nextpnr's SDF, those of wires from
distances.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .delay_file import CLOCKS, SECOND_HALF, Setup, Through, read_delays
from .machine_code import machine_code
from .placement import Cells, Nets, Placement, grouped

__all__ = ["WIRE_STEP_PS", "CellDelays", "Pin", "Timing", "wire_ps"]

_NO_WIRE = {"FCI", "F1", "FXA", "FXB", "DI", "WD", "WAD0", "WAD1", "WAD2", "WAD3"}
"""Inputs with a way of their own from what drives them."""
_FOR_ALL = "TRELLIS_"
"""Types whose cells have the same delays; others depend on their parameters."""
WIRE_STEP_PS = 145.0
"""So many picoseconds of a connection of weight one are as bad as a tile of a net."""
_TILES = (0, 1, 2, 3, 6, 12, 24, 224)
_COLUMNS_PS = (0, 206, 231, 384, 475, 787, 1345, 10_985)
_ROWS_PS = (0, 260, 321, 525, 578, 945, 1550, 12_790)
"""Of a wire that leads so many tiles along a row, and along a column; in between on a line."""
_ACROSS = np.interp(np.arange(_TILES[-1] + 1), _TILES, _COLUMNS_PS)
_DOWN = np.interp(np.arange(_TILES[-1] + 1), _TILES, _ROWS_PS)
_CORNER_PS = -125.0
"""Of one that does both."""
_PIN_PS = {"A": 680, "B": 680, "C": 530, "D": 420, "M": 450, "CE": 400, "LSR": 310, "WRE": 240}
_OTHER_PIN_PS = 570
"""Within the tile, to such an input. One of a LUT's four has a fast way; ABC has the last signal at D."""
_NEVER = -1e9


class CellDelays:
    """Delays from input to output and setup times, of nextpnr's SDF of a design that it has just packed, in
    picoseconds.
    """

    def __init__(self, sdf: Path):
        self._through: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self._setup: dict[tuple[str, str], int] = {}
        for entry in read_delays(sdf):
            match entry:
                case Through(kind, cell, start, end, delay):
                    outputs = self._through[self._owner(cell, kind), start]
                    outputs[end] = max(outputs.get(end, 0), delay)
                case Setup(kind, cell, port, delay):
                    key = self._owner(cell, kind), port
                    self._setup[key] = max(self._setup.get(key, 0), delay)

    def through(self, name: str, kind: str, port: str) -> Mapping[str, int]:
        """Outputs that an input goes to, with the time that it takes."""
        return self._through.get((self._owner(name, kind), port), {})

    def setup(self, name: str, kind: str, port: str) -> int | None:
        """Of a clocked input; None for any other."""
        return self._setup.get((self._owner(name, kind), port))

    @staticmethod
    def _owner(name: str, kind: str) -> str:
        # A carry takes its time in one half of its cell only.
        half = SECOND_HALF if name.endswith(SECOND_HALF) else ""
        return kind + half if kind.startswith(_FOR_ALL) else name


@machine_code
def wire_ps(dx: Any, dy: Any) -> Any:
    """Of a wire over that many columns and rows, or of many, without what its end takes.

    Measured: the 17,000 connections on paths of more than 0.7 of the slowest of `lean64`, routed on the 45F,
    speed grade 6, without all others, so that nothing is in their way: 100 ps more or less for half of them.
    nextpnr's `Arch::predictDelay` (`ecp5/arch.cc`) foresees 480 ps in a tile, and half as much again for far
    ones.
    """
    return _ACROSS[np.abs(dx)] + _DOWN[np.abs(dy)] + _CORNER_PS * ((dx != 0) & (dy != 0))


class Pin(NamedTuple):
    """Where a connection ends, and the net that it is part of."""

    net: int
    cell: int
    port: str


class _Graph(NamedTuple):
    """Nets, their connections to cells, and the ways on through these."""

    start: np.ndarray      # per net: when it changes after the clock, without the logic before it
    net: np.ndarray        # per connection
    source: np.ndarray     # cell
    sink: np.ndarray       # cell
    by_wire: np.ndarray    # it is a wire, which takes time
    pin_ps: np.ndarray     # of its end
    way: np.ndarray        # connections that go on, a net's after those that lead to it
    way_ps: np.ndarray     # through the cell
    way_net: np.ndarray    # to that net
    end: np.ndarray        # connections to clocked inputs
    end_ps: np.ndarray     # setup


class Timing:
    """Arrival times in a placed design, as far as they can be foreseen."""

    def __init__(self, placement: Placement, delays: CellDelays):
        self._cells = placement.cells
        self._graph, self.pins = _read_graph(placement, delays)
        graph = self._graph
        self.sources, self.sinks, self.by_wire = graph.source, graph.sink, graph.by_wire.astype(bool)

    def connections(self) -> Nets:
        """Those that a move can make longer, as groups of two cells; their numbers are those of `slowest`."""
        graph = self._graph
        pairs = [[int(source), int(sink)] if wire and source != sink else []
                 for source, sink, wire in zip(graph.source, graph.sink, graph.by_wire, strict=True)]
        return grouped(pairs, len(self._cells.x))

    def slowest(self) -> np.ndarray:
        """Of each connection, the slowest path that it is part of, in picoseconds."""
        return _slowest(self._graph, self._cells)

    def shares(self, exponent: float, slowest_ps: float) -> np.ndarray:
        """Of each connection, the sum over all paths that it is part of. A path of `slowest_ps`, which none
        takes longer than, counts 1, one that is 1 % faster exp(-`exponent` / 100), and so on.

        They are the derivatives of a smooth maximum of all paths: what leads to a cell weighs as much as what
        leads on from it. By the slowest path of each connection alone, a cell with many sinks would be drawn
        towards them, whatever leads to it. After Kong: A novel net weighting algorithm for timing-driven
        placement, ICCAD 2002.
        """
        return _shares(self._graph, self._cells, exponent, slowest_ps)


def _read_graph(placement: Placement, delays: CellDelays) -> tuple[_Graph, list[Pin]]:
    """And the pins of its connections."""
    numbers: dict[int, int] = {}
    for net in placement.drivers:
        if not placement.is_clock(net):
            numbers[net] = len(numbers)
    start = np.full(len(numbers), _NEVER)
    connections: list[tuple[int, int, int, bool, int]] = []
    pins: list[Pin] = []
    ends: list[tuple[int, int]] = []
    ways: list[list[tuple[int, int, int]]] = [[] for _ in numbers]
    before = np.zeros(len(numbers), np.int32)
    for net, number in numbers.items():
        driver, output = placement.drivers[net]
        name, kind = placement.names[driver], placement.type_of(driver)
        start[number] = max(delays.through(name, kind, clock).get(output, _NEVER) for clock in CLOCKS)
        for sink, port in placement.pins[net]:
            if (sink, port) == (driver, output):
                continue
            here = len(connections)
            pins.append(Pin(net, sink, port))
            connections.append((number, driver, sink, port not in _NO_WIRE,
                                _PIN_PS.get(port, _OTHER_PIN_PS)))
            name, kind = placement.names[sink], placement.type_of(sink)
            setup = delays.setup(name, kind, port)
            if setup is not None:
                ends.append((here, setup))
            if port in CLOCKS:
                continue
            for through, delay in delays.through(name, kind, port).items():
                following = placement.connections(sink).get(through)
                if following and following[0] in numbers:
                    ways[number].append((here, delay, numbers[following[0]]))
                    before[numbers[following[0]]] += 1
    order = [number for number in range(len(numbers)) if not before[number]]
    for number in order:   # grows on the way
        for _, _, behind in ways[number]:
            before[behind] -= 1
            if not before[behind]:
                order.append(behind)
    assert len(order) == len(numbers), "logic that goes round in a ring"
    way = [entry for number in order for entry in ways[number]]
    net_of, source, sink_of, by_wire, pin_ps = _columns(connections, 5)
    way_of, way_ps, way_net = _columns(way, 3)
    end_of, end_ps = _columns(ends, 2)
    return _Graph(start, net_of, source, sink_of, by_wire, pin_ps, way_of, way_ps, way_net, end_of,
                  end_ps), pins


def _columns(entries: Sequence[tuple[int, ...]], count: int) -> list[np.ndarray]:
    return [np.array([entry[column] for entry in entries], np.int32) for column in range(count)]


@machine_code
def _wires(graph: _Graph, cells: Cells) -> np.ndarray:
    wires = np.zeros(len(graph.net))
    for number in range(len(wires)):
        if graph.by_wire[number]:
            source, sink = graph.source[number], graph.sink[number]
            wires[number] = (wire_ps(cells.x[source] - cells.x[sink], cells.y[source] - cells.y[sink])
                             + graph.pin_ps[number])
    return wires


@machine_code
def _slowest(graph: _Graph, cells: Cells) -> np.ndarray:
    count, wires = len(graph.net), _wires(graph, cells)
    arrival = graph.start.copy()
    for place in range(len(graph.way)):
        number = graph.way[place]
        time = arrival[graph.net[number]] + wires[number] + graph.way_ps[place]
        arrival[graph.way_net[place]] = max(arrival[graph.way_net[place]], time)
    # What comes behind a connection, its wire not included, and behind a net.
    behind, behind_net = np.full(count, -1e9), np.full(len(arrival), -1e9)
    for place in range(len(graph.end)):
        number = graph.end[place]
        behind[number] = max(behind[number], graph.end_ps[place])
        net = graph.net[number]
        behind_net[net] = max(behind_net[net], graph.end_ps[place] + wires[number])
    for place in range(len(graph.way) - 1, -1, -1):
        number = graph.way[place]
        time = behind_net[graph.way_net[place]] + graph.way_ps[place]
        behind[number] = max(behind[number], time)
        net = graph.net[number]
        behind_net[net] = max(behind_net[net], time + wires[number])
    return np.maximum(arrival[graph.net] + wires + behind, 0.0)


@machine_code
def _shares(graph: _Graph, cells: Cells, exponent: float, slowest_ps: float) -> np.ndarray:
    if slowest_ps <= 0:
        return np.zeros(len(graph.net))
    alpha = exponent / slowest_ps
    wires = np.exp(alpha * _wires(graph, cells))
    # Of all ways that lead to a net; of those that go on behind a connection, and of those from a net on.
    before = np.where(graph.start > _NEVER / 2, np.exp(alpha * np.maximum(graph.start, 0.0)), 0.0)
    for place in range(len(graph.way)):
        number = graph.way[place]
        before[graph.way_net[place]] += (before[graph.net[number]] * wires[number]
                                         * np.exp(alpha * graph.way_ps[place]))
    behind, behind_net = np.zeros(len(graph.net)), np.zeros(len(before))
    for place in range(len(graph.end)):
        number = graph.end[place]
        share = np.exp(alpha * graph.end_ps[place])
        behind[number] += share
        behind_net[graph.net[number]] += share * wires[number]
    for place in range(len(graph.way) - 1, -1, -1):
        number = graph.way[place]
        share = behind_net[graph.way_net[place]] * np.exp(alpha * graph.way_ps[place])
        behind[number] += share
        behind_net[graph.net[number]] += share * wires[number]
    reached = before[graph.net]
    return np.where(reached > 0, reached * wires * behind * np.exp(-exponent), 0.0)
