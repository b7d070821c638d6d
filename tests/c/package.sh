#!/bin/sh
# package.sh PREFIX LIBDIR SAID LIST CC: what is inside the installed libraries, and what pkg-config says of them.
# SAID: the native libraries rustc named; LIST: ours, separated by spaces.
set -eu
prefix=$1 libdir=$1/$2 said=$3 list=$4 cc=$5
header=$prefix/include/vixp2p.h
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() { echo "$*" >&2; exit 1; }
same() { # WHAT FILE FILE
    diff "$2" "$3" >"$dir/diff" || { cat "$dir/diff" >&2; fail "$1"; }
}

tr '\n' ' ' <"$header" | grep -o 'VIXP2P_API [^;(]*(' | grep -o 'vixp2p_[a-z0-9_]*($' | tr -d '(' | sort -u >"$dir/header"
[ -s "$dir/header" ] || fail "no functions found in $header"

nm -D --defined-only "$libdir/libvixp2p.so" | awk '{ print $3 }' | sort >"$dir/shared"
same "the shared library's symbols (>) are not the header's functions (<)" "$dir/header" "$dir/shared"
nm -g --defined-only "$libdir/libvixp2p.a" | awk 'NF == 3 { print $3 }' | sort >"$dir/static"
same "the static library's symbols (>) are not the header's functions (<)" "$dir/header" "$dir/static"

readelf -dW "$libdir/libvixp2p.so" >"$dir/dynamic"
grep -q 'SONAME.*\[libvixp2p\.so\.0\]' "$dir/dynamic" || fail "the SONAME is not libvixp2p.so.0"
grep -q 'NODELETE' "$dir/dynamic" || fail "the library may be unmapped while its threads run"
! grep -q 'RPATH\|RUNPATH\|TEXTREL' "$dir/dynamic" || fail "the library has a RPATH, RUNPATH or TEXTREL"
! grep -q 'NEEDED.*libstdc++' "$dir/dynamic" || fail "the library needs libstdc++"
[ "$(readlink "$libdir/libvixp2p.so")" = libvixp2p.so.0 ] || fail "libvixp2p.so is not a link to libvixp2p.so.0"
[ -L "$libdir/libvixp2p.so.0" ] || fail "libvixp2p.so.0 is not a link"

rustcs=$(tr ' ' '\n' <"$said" | sed -n 's/^-l//p' | grep -vx c | xargs)
[ "$rustcs" = "$list" ] || fail "cmake/NativeLibs.cmake says \"$list\", rustc says \"$rustcs\""

grep -rlF "$(dirname "$prefix")" "$libdir/cmake" "$libdir/pkgconfig" && fail "the package names the place where it lies"

# Through pkg-config alone, both ways.
cat >"$dir/program.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <vixp2p.h>
int main(void) { return puts(vixp2p_version()) < 0 || strcmp(vixp2p_version(), VIXP2P_VERSION) != 0; }
C
export PKG_CONFIG_PATH="$libdir/pkgconfig"
# shellcheck disable=SC2046
"$cc" "$dir/program.c" -o "$dir/shared-program" $(pkg-config --cflags --libs vixp2p)
LD_LIBRARY_PATH=$libdir "$dir/shared-program"
readelf -dW "$dir/shared-program" | grep -q 'NEEDED.*\[libvixp2p\.so\.0\]' || fail "the program does not ask for libvixp2p.so.0"
# shellcheck disable=SC2046
"$cc" "$dir/program.c" -o "$dir/static-program" $(pkg-config --cflags --libs vixp2p-static)
"$dir/static-program"
! readelf -dW "$dir/static-program" | grep -q 'NEEDED.*vixp2p' || fail "vixp2p-static links the shared library"
pkg-config --libs --static vixp2p | grep -q -- '-lgcc_s' || fail "vixp2p.pc does not tell what static linking needs"
