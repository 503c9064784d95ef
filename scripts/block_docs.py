"""Writes docs/blocks.md: every hardware block's own docstring, in the order of the data's way."""

import importlib
import inspect
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

BLOCKS = (
    ("hdl.top", "Top"), ("hdl.pins", "FlatTop"), ("hdl.core", "Core"), ("hdl.control", "ControlPort"),
    ("hdl.supervisor", "Supervisor"), ("hdl.guard", "MemoryGuard"), ("hdl.command", "CommandProcessor"),
    ("hdl.fault_report", "FaultReport"),
    ("hdl.extent_check", "ExtentCheck"), ("hdl.burst_log", "BurstLog"),
    ("hdl.counters", "Counters"), ("hdl.read_port", "ReadPort"),
    ("hdl.reader", "SegmentReader"), ("hdl.shared_buffer", "SharedBuffer"),
    ("hdl.splitter", "ChunkSplitter"), ("hdl.fetch", "Fetch"),
    ("hdl.ones", "Ones"),
    ("hdl.router", "Router"), ("hdl.token_bus", "TokenBus"), ("hdl.tile_loader", "TileLoader"),
    ("hdl.dense_loader", "DenseLoader"), ("hdl.packer", "Packer"), ("hdl.tile_bus", "TileBus"),
    ("hdl.pe", "ProcessingElement"), ("hdl.pe_front", "PeFront"), ("hdl.lane_store", "LaneStore"),
    ("hdl.row_buffer", "RowBuffer"), ("hdl.dot", "DotProduct"),
    ("hdl.accumulator", "Accumulator"), ("hdl.row_queue", "RowQueue"), ("hdl.chain", "ChainStage"),
    ("hdl.lean_chain", "LeanChainStage"),
    ("hdl.collector", "Collector"), ("hdl.finisher", "Finisher"), ("hdl.sparse_rows", "SparseRows"),
    ("hdl.pair_packer", "PairPacker"), ("hdl.csr_spool", "CsrSpool"), ("hdl.writer", "SegmentWriter"),
    ("hdl.job_switch", "JobSwitch"), ("hdl.merger", "Merger"), ("hdl.merge_feed", "MergeFeed"),
    ("hdl.merge_sorter", "MergeSorter"), ("hdl.merge_combiner", "MergeCombiner"),
    ("hdl.merge_rows", "MergeRows"),
    ("hdl.queue", "Queue"), ("hdl.head_queue", "HeadQueue"),
    ("hdl.serial_engine", "SerialEngine"), ("hdl.serial_sequencer", "Sequencer"),
    ("hdl.serial_queue", "SerialQueue"), ("hdl.serial_rows", "SerialRows"), ("hdl.serial_lane", "SerialLane"),
    ("hdl.serial_output", "SerialOutput"), ("hdl.serial_scaler", "SerialScaler"),
    ("hdl.stream_scaler", "StreamScaler"),
)


def page() -> str:
    """The page's text."""
    parts = ["# Blocks\n\nMade from the docstrings by `scripts/block_docs.py`.\n"]
    for module, name in BLOCKS:
        text = inspect.getdoc(getattr(importlib.import_module(module), name))
        parts.append(f"## {name}\n\n`{module.replace('.', '/')}.py`\n\n```\n{text}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    (ROOT / "docs" / "blocks.md").write_text(page())
