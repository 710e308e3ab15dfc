#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All measurements that need a GPU, in four minutes; then, with CIFAR-10's files, 50 epochs of SimCLR.
#
#     gpu.sh PROGRAMS OUT [CIFAR]
#
# PROGRAMS holds gpu, kernels, augment and train (`./run gpu` builds them; `./run gpu --carry FOLDER` puts them, this script and
# the libraries that a bare machine may lack into a folder, to be copied to a machine that has only Python with torch). Each line
# of OUT/*.json is a JSON object.
set -u
programs=$1 out=$2 cifar=${3:-}
mkdir -p "$out"
if ldd "$programs/gpu" | grep -q 'not found'; then  # a copied folder: LibTorch is Python's
    torch=$(python3 -c "import importlib.util as u; print(list(u.find_spec('torch').submodule_search_locations)[0])")
    for folder in "$torch/lib" "$torch"/../nvidia/*/lib "$programs/lib"; do
        [[ ! -d $folder ]] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
    done
    export LD_LIBRARY_PATH
fi
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader || exit 1

# measure SECONDS NAME PROGRAM [ARGUMENT…]
measure() {
    local seconds=$1 name=$2
    shift 2
    timeout "$seconds" "$@" 2>"$out/$name.err" | tee "$out/$name.json"
    [[ ${PIPESTATUS[0]} -eq 0 ]] || { echo "gpu.sh: $name ended with ${PIPESTATUS[0]}:"; tail -n 3 "$out/$name.err"; }
}
measure 110 gpu "$programs/gpu"
measure 45 gpu-large "$programs/gpu" --large simclr dino
measure 40 kernels "$programs/kernels"
measure 40 augment "$programs/augment" --device cuda --seconds 0.5
[[ -z $cifar ]] || measure 600 cifar "$programs/train" simclr --data "$cifar" --epochs 50 --batch-size 512 --device cuda --progress off \
    --out "$out/cifar"
