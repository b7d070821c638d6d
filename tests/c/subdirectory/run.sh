#!/bin/sh
# run.sh BUILD_DIR GENERATOR CARGO_TARGET_DIR
# Not by `ctest --build-and-test`: it builds with CC set, which has cargo compile the C parts anew.
set -eu
cmake -S "$(dirname "$0")" -B "$1" -G "$2" -DCMAKE_BUILD_TYPE=Release "-DVIXP2P_CARGO_TARGET_DIR=$3"
cmake --build "$1"
