#!/usr/bin/env bash
# Wheels for the GPU check on a machine that has PyTorch and reaches no package index: Python 3.12, x86-64.
#
#   tools/gpu_wheels.sh [DIR]        (.wheels)
#
# The versions are those of requirements.lock. Prints what has to travel, and fails above 60 MiB: the tree, the wheels,
# and the cached features of one dataset of the mini profile, if they are there. How to use them: docs/gpu.md.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${1:-.wheels}
most_kib=$((60 * 1024))
# open_clip and pydantic with their own needs, PyAV, and the pool that gives every part a time limit; decord is not needed
packages=(open-clip-torch ftfy wcwidth pydantic pydantic-core annotated-types typing-extensions typing-inspection av pebble)
carried=(data/features/mini/mini_clip/hmdb51 data/manifests/mini/hmdb51)

pins=()
for name in "${packages[@]}"; do
    pins+=("$(grep -E "^$name==" requirements.lock)") || { echo "error: requirements.lock has no '$name'" >&2; exit 1; }
done
tags=()
for n in 28 27 17; do tags+=(--platform "manylinux_2_${n}_x86_64"); done
tags+=(--platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64)
mkdir -p "$dir"
rm -f "$dir"/*.whl
"${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --implementation cp --python-version 3.12 "${tags[@]}" --dest "$dir" "${pins[@]}"

# sum in KiB of the files and folders whose names come in, each ended by a zero byte; a deleted file counts nothing
kib() { { du -c --apparent-size -k --files0-from=- 2>/dev/null || true; } | tail -n 1 | cut -f 1; }

there=()
for folder in "${carried[@]}"; do
    if [ -d "$folder" ]; then there+=("$folder"); else echo "not there, so that its part is skipped: $folder"; fi
done
tree=$(git ls-files -z --cached --others --exclude-standard --deduplicate | kib)
wheels=$(printf '%s\0' "$dir"/*.whl | kib)
features=0
if [ ${#there[@]} -gt 0 ]; then features=$(printf '%s\0' "${there[@]}" | kib); fi
sum=$((tree + wheels + features))
printf '%s KiB of tree + %s of wheels + %s of features = %s KiB (at most %s)\n' "$tree" "$wheels" "$features" "$sum" "$most_kib"
if [ "$sum" -gt "$most_kib" ]; then
    echo "error: that is too much to carry" >&2
    exit 1
fi
