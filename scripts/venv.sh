# Sourced by the other scripts: makes .venv beside this folder, installs the project with the extras in
# $1 (may be empty), and leaves `$python` set. Nothing is installed again while pyproject.toml is unchanged.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python="$root/.venv/bin/python"
if [ ! -x "$python" ]; then
    base=$(command -v python3.11 || command -v python3 || true)
    if [ -z "$base" ] || ! "$base" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "zerolane: Python 3.11 or newer with venv is needed: apt-get install python3 python3-venv" >&2
        exit 1
    fi
    echo "zerolane: making .venv"
    "$base" -m venv "$root/.venv"
fi
wanted="$(cksum < "$root/pyproject.toml") ${1:-}"
if [ "$(cat "$root/.venv/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "zerolane: installing the project and what it needs into .venv (minutes, the first time)"
    "$python" -m pip install --quiet --disable-pip-version-check --editable "$root${1:+[$1]}"
    echo "$wanted" > "$root/.venv/installed"
fi
