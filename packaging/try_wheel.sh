#!/usr/bin/env bash
# Try a wheel where there is no compiler, no git and no torch: packaging/try_wheel.sh WHEEL [PYTHON]
# Installs it with packages in binary form alone, and does what `make demo` does.
set -euo pipefail
wheel="$(realpath "$1")"
python="${2:-python3}"
here="$(cd "$(dirname "$0")/.." && pwd)"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT

"$python" -m venv "$place/env"
"$place/env/bin/pip" install --quiet --only-binary :all: "$wheel"
mkdir "$place/bin"
for tool in bash env mkdir; do
  ln -s "$(command -v "$tool")" "$place/bin/$tool"
done
cd "$place"
bare=(env -i "HOME=$place" "OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}" "PATH=$place/env/bin:$place/bin")
"${bare[@]}" python - <<'END'
import importlib.util
import platform
import shutil

from mrftool.physics import kernel

assert importlib.util.find_spec("torch") is None
assert not any(map(shutil.which, ("cc", "gcc", "clang", "git", "make")))
assert kernel.is_available(), "the native kernel does not load"
print("python:", platform.python_version())
END
"${bare[@]}" bash "$here/examples/demo.sh" demo
