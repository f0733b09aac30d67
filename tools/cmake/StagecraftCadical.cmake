# STAGECRAFT_WITH_CADICAL: AUTO uses a CaDiCaL that is found, ON fails without one, OFF never looks. Sets
# STAGECRAFT_CADICAL (is the exact solver built?), makes the target stagecraft::cadical and says in one line what was
# decided. CaDiCaL comes without a CMake or pkg-config file.
set(STAGECRAFT_WITH_CADICAL AUTO CACHE STRING "Build the exact solver on CaDiCaL: AUTO, ON or OFF")
set_property(CACHE STAGECRAFT_WITH_CADICAL PROPERTY STRINGS AUTO ON OFF)
set(STAGECRAFT_CADICAL OFF)
if(STAGECRAFT_WITH_CADICAL STREQUAL "AUTO" OR STAGECRAFT_WITH_CADICAL)
  include(${CMAKE_CURRENT_LIST_DIR}/StagecraftFindCadical.cmake)
  if(TARGET stagecraft::cadical)
    set(STAGECRAFT_CADICAL ON)
    message(STATUS "stagecraft: exact solver with CaDiCaL ${STAGECRAFT_CADICAL_LIBRARY}")
  elseif(STAGECRAFT_WITH_CADICAL STREQUAL "AUTO")
    message(STATUS "stagecraft: no exact solver: cadical.hpp or libcadical not found")
  else()
    message(FATAL_ERROR "STAGECRAFT_WITH_CADICAL is ON, but cadical.hpp or libcadical was not found "
                        "(set STAGECRAFT_CADICAL_INCLUDE and STAGECRAFT_CADICAL_LIBRARY)")
  endif()
else()
  message(STATUS "stagecraft: no exact solver: STAGECRAFT_WITH_CADICAL is ${STAGECRAFT_WITH_CADICAL}")
endif()
