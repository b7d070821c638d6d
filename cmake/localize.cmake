# cmake -D INPUT=... -D OUTPUT=... -D SYMBOLS=... -D LD=... -D OBJCOPY=... -D AR=... [-D STRIP=ON] -P localize.cmake
#
# Makes a static library of one object in which only the functions of the header are global. Rust's standard library and
# everything else inside becomes local, so that the library can be linked with another Rust static library, or with another copy
# of a C library that it carries, in any order.
get_filename_component(dir "${OUTPUT}" DIRECTORY)
get_filename_component(name "${OUTPUT}" NAME_WE)
set(object "${dir}/${name}.o")
set(roots "${dir}/${name}.roots")

# The linker takes what the functions need from the archive and leaves the rest. Resolving the COMDAT groups here keeps the
# final link from throwing our copy of a group away in favour of another library's, which our local symbols could not reach.
file(STRINGS "${SYMBOLS}" names)
list(TRANSFORM names PREPEND "--undefined=")
string(JOIN "\n" text ${names})
file(WRITE "${roots}" "${text}\n")

set(strip)
if(STRIP)
  set(strip --strip-debug)
endif()

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE code ERROR_VARIABLE errors OUTPUT_VARIABLE errors)
  if(NOT code EQUAL 0)
    string(JOIN " " command ${ARGV})
    message(FATAL_ERROR "${command}\nended with ${code}:\n${errors}\nConfigure with -DVIXP2P_LOCALIZE_STATIC=OFF to ship rustc's archive as it is.")
  endif()
endfunction()

run("${LD}" -r --force-group-allocation "@${roots}" "${INPUT}" -o "${object}")
# Bitcode that some objects carry for link-time optimisation is of no use once they are merged.
run("${OBJCOPY}" --remove-section=.llvmbc --remove-section=.llvmcmd ${strip} "--keep-global-symbols=${SYMBOLS}" "${object}")
file(REMOVE "${OUTPUT}")
run("${AR}" rcs "${OUTPUT}" "${object}")
file(REMOVE "${object}" "${roots}")
