"""Puts ECP5's reset on the part's own clock network, which has a way into every tile.

nextpnr finds by itself only the nets that drive clocks. The reset of an array has an end in nearly every
tile, an eighth of all connections, and each of them takes wires that others want.
"""

from collections import Counter
from typing import Any

__all__ = ["LEAST_REGISTERS", "spread_resets"]

LEAST_REGISTERS = 1000
"""That have the same reset: smaller ones take wires as any other net."""
_BUFFER = "reset_network"


def spread_resets(design: dict[str, Any], top: str) -> int:
    """Change a flattened netlist in Yosys's JSON, in place; how many registers now hear the network.

    What else reads the reset stays where it was: the network ends at clocks, enables and resets only.
    """
    module = design["modules"][top]
    registers = [cell for cell in module["cells"].values() if cell["type"] == "TRELLIS_FF"]
    resets = Counter(cell["connections"]["LSR"][0] for cell in registers if "LSR" in cell["connections"])
    widest, count = max(((net, count) for net, count in resets.items() if isinstance(net, int)),
                        key=lambda entry: entry[1], default=(0, 0))
    if count < LEAST_REGISTERS:
        return 0
    wires = [*(bits for cell in module["cells"].values() for bits in cell["connections"].values()),
             *(entry["bits"] for kind in ("ports", "netnames") for entry in module[kind].values())]
    spread = 1 + max(bit for bits in wires for bit in bits if isinstance(bit, int))
    for cell in registers:
        if cell["connections"].get("LSR") == [widest]:
            cell["connections"]["LSR"] = [spread]
    module["cells"][_BUFFER] = {
        "hide_name": 0, "type": "DCCA", "parameters": {}, "attributes": {},
        "port_directions": {"CLKI": "input", "CE": "input", "CLKO": "output"},
        "connections": {"CLKI": [widest], "CE": ["1"], "CLKO": [spread]}}
    module["netnames"][_BUFFER] = {"hide_name": 0, "bits": [spread], "attributes": {}}
    return count
