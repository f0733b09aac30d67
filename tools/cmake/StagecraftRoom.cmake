# stagecraft_room(NAME SOURCES a.cpp ... ROOMS core ... PRIVATE_LINKS fmt::fmt ...)
#
# Declares room NAME as the library target stagecraft_NAME. ROOMS are the rooms below it that it may
# include; the order of rooms is fixed in DESIGN and checked by the test `layering`.
function(stagecraft_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;ROOMS;PRIVATE_LINKS" ${ARGN})
  set(target stagecraft_${name})
  add_library(${target} STATIC ${ROOM_SOURCES})
  add_library(stagecraft::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                     $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
                     $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/sim)
  foreach(room IN LISTS ROOM_ROOMS)
    target_link_libraries(${target} PUBLIC stagecraft_${room})
  endforeach()
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:stagecraft_flags> ${ROOM_PRIVATE_LINKS})
  set_property(GLOBAL APPEND PROPERTY STAGECRAFT_ROOMS ${target})
endfunction()
