#!/bin/sh
# covers.sh HEADER SOURCE...: every function of the header is called in the sources.
set -eu
header=$1
shift
missing=
for name in $(tr '\n' ' ' <"$header" | grep -o 'VIXP2P_API [^;(]*(' | grep -o 'vixp2p_[a-z0-9_]*($' | tr -d '('); do
    grep -qE "(^|[^a-z0-9_])$name\(" "$@" || missing="$missing $name"
done
[ -z "$missing" ] || { echo "never called:$missing" >&2; exit 1; }
