# The program with its manual pages and completions: built by cargo, written by the program itself, installed as component "program".

set(program "${CMAKE_CURRENT_BINARY_DIR}/bin/vixp2p")
set(man_dir "${CMAKE_CURRENT_BINARY_DIR}/man/man1")
set(completions_dir "${CMAKE_CURRENT_BINARY_DIR}/completions")
set(program_flags --profile ${profile} --locked --bin vixp2p --features cli)
if(VIXP2P_CARGO_TARGET)
  list(APPEND program_flags --target ${VIXP2P_CARGO_TARGET})
endif()
if(VIXP2P_OFFLINE)
  list(APPEND program_flags --offline)
endif()
file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/bin" "${man_dir}" "${completions_dir}")

# After the libraries: two cargo commands at once would only wait for each other.
add_custom_command(
  OUTPUT "${program}"
  COMMAND "${CMAKE_COMMAND}" -E env "CARGO_TARGET_DIR=${VIXP2P_CARGO_TARGET_DIR}" "${VIXP2P_CARGO}" build ${program_flags}
  COMMAND "${CMAKE_COMMAND}" -E copy "${made}/vixp2p" "${program}"
  DEPENDS ${sources} "${shared_file}"
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  COMMENT "Building the program vixp2p with cargo (${profile})"
  USES_TERMINAL VERBATIM)
set(program_files "${program}")

# A program for another machine cannot be run here to write them.
if(NOT VIXP2P_CARGO_TARGET)
  set(completions "${completions_dir}/vixp2p" "${completions_dir}/_vixp2p" "${completions_dir}/vixp2p.fish")
  set(man_stamp "${CMAKE_CURRENT_BINARY_DIR}/man/written")
  add_custom_command(
    OUTPUT ${completions} "${man_stamp}"
    COMMAND "${program}" completions bash > "${completions_dir}/vixp2p"
    COMMAND "${program}" completions zsh > "${completions_dir}/_vixp2p"
    COMMAND "${program}" completions fish > "${completions_dir}/vixp2p.fish"
    COMMAND "${CMAKE_COMMAND}" -E rm -rf "${man_dir}"
    COMMAND "${program}" man --dir "${man_dir}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${man_stamp}"
    DEPENDS "${program}"
    COMMENT "Writing manual pages and completions"
    VERBATIM)
  list(APPEND program_files ${completions} "${man_stamp}")
endif()
add_custom_target(vixp2p_program ALL DEPENDS ${program_files})

if(VIXP2P_INSTALL)
  install(PROGRAMS "${program}" DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT program)
  if(NOT VIXP2P_CARGO_TARGET)
    install(DIRECTORY "${man_dir}" DESTINATION "${CMAKE_INSTALL_MANDIR}" COMPONENT program)
    set(share "${CMAKE_INSTALL_DATADIR}")
    install(FILES "${completions_dir}/vixp2p" DESTINATION "${share}/bash-completion/completions" COMPONENT program)
    install(FILES "${completions_dir}/_vixp2p" DESTINATION "${share}/zsh/site-functions" COMPONENT program)
    install(FILES "${completions_dir}/vixp2p.fish" DESTINATION "${share}/fish/vendor_completions.d" COMPONENT program)
  endif()
endif()
