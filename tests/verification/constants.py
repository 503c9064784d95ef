"""Conditions of the RTL that a configuration makes constant, as Yosys finds them in the flattened array."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from .system import ARRAY
from .yosys import run_yosys

__all__ = ["Constants"]

_CONDITION = re.compile(r"(?:if \(|^assign .*? = )(?P<wire>\\?[^\s\[?()]+)\s*(?:\[(?P<bit>\d+)\])?\s*"
                        r"(?:\) begin|\? )")
"""Of `if (wire[3]) begin` and of `assign x = wire[3] ? a : b`."""


class Constants:
    """Which wires have always the same value, in every instance of their module.

    Parameters
    ----------
    verilog : file with the array, read where it is
    """

    def __init__(self, verilog: Path):
        run_yosys(f"read_verilog -noassert {verilog.name}\nhierarchy -top {ARRAY}\nproc\nflatten\nopt -full\n"
                  "write_json constants.json\n", verilog.parent, "constants")
        path = verilog.with_name("constants.json")
        module = json.loads(path.read_text())["modules"][ARRAY]
        path.unlink()
        self._nets: dict[str, list[Any]] = {name: net["bits"] for name, net in module["netnames"].items()}
        self._instances: dict[str, list[str]] = defaultdict(list)
        self._instances[ARRAY].append("")
        for name, cell in module["cells"].items():
            if cell["type"] == "$scopeinfo":
                self._instances[cell["attributes"].get("module", "")].append(f"{name.lstrip(chr(92))}.")

    def is_constant(self, module: str, line: str) -> bool:
        """The condition on this line of a module has the same value, whatever the array does."""
        match = _CONDITION.search(line)
        instances = self._instances.get(module)
        if match is None or not instances:
            return False
        found = set()
        for prefix in instances:
            bits = self._nets.get(prefix + match["wire"].lstrip("\\"))
            place = int(match["bit"] or 0)
            if bits is None or place >= len(bits) or (match["bit"] is None and len(bits) > 1):
                return False
            found.add(bits[place])
        return found <= {"0"} or found <= {"1"}
