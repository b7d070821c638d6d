# What a program that links the static library must link too, in link order: the answer of `rustc --print native-static-libs`
# without libc itself. A test (package.native-libs) compares this list with rustc's.
set(VIXP2P_NATIVE_LIBS gcc_s util rt pthread m dl)
