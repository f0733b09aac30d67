# Compiles several source files as one, which reads each header once per group instead of once per file: a build from
# nothing takes less than half the time. Which files go together is found by a script, because names in unnamed
# namespaces repeat. Off by default; the presets switch it on. tools/check lints against a build without it.
option(STAGECRAFT_UNITY "Compile groups of source files as one" OFF)
set(STAGECRAFT_UNITY_FILES 10 CACHE STRING "Most source files of a group")

# stagecraft_unity(TARGET ...): to be called when all sources of the targets are known.
function(stagecraft_unity)
  if(NOT STAGECRAFT_UNITY)
    return()
  endif()
  find_program(STAGECRAFT_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH REQUIRED)
  foreach(target IN LISTS ARGN)
    get_target_property(sources ${target} SOURCES)
    get_target_property(folder ${target} SOURCE_DIR)
    set(files "")
    foreach(source IN LISTS sources)
      cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder} NORMALIZE)
      if(source MATCHES "\\.cpp$" AND source MATCHES "^${PROJECT_SOURCE_DIR}/(sim|tests|tools)/")
        string(APPEND files "${source}\n")
      endif()
    endforeach()
    file(WRITE ${PROJECT_BINARY_DIR}/unity/${target}.txt "${files}")
    execute_process(
      COMMAND ${STAGECRAFT_PYTHON} ${PROJECT_SOURCE_DIR}/tools/cmake/unity_groups.py ${PROJECT_SOURCE_DIR} ${STAGECRAFT_UNITY_FILES}
      INPUT_FILE ${PROJECT_BINARY_DIR}/unity/${target}.txt OUTPUT_VARIABLE groups COMMAND_ERROR_IS_FATAL ANY)
    string(STRIP "${groups}" groups)
    string(REPLACE "\n" ";" lines "${groups}") # each line is GROUP;FILE, so the list alternates
    while(lines)
      list(POP_FRONT lines group source)
      set_source_files_properties(${source} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP group${group})
    endwhile()
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
    # A type that uses names of an unnamed namespace is no fault here; StagecraftWarnings leaves out -Wshadow, as a local
    # name may be like one of a file that it does not know.
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  endforeach()
endfunction()
