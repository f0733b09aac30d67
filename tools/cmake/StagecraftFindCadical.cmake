# Makes the imported target stagecraft::cadical if the library and its header are there. Used by the build and, since
# the rooms are static libraries, by the installed package.
find_path(STAGECRAFT_CADICAL_INCLUDE cadical.hpp)
find_library(STAGECRAFT_CADICAL_LIBRARY cadical)
mark_as_advanced(STAGECRAFT_CADICAL_INCLUDE STAGECRAFT_CADICAL_LIBRARY)
if(STAGECRAFT_CADICAL_INCLUDE AND STAGECRAFT_CADICAL_LIBRARY AND NOT TARGET stagecraft::cadical)
  add_library(stagecraft::cadical UNKNOWN IMPORTED)
  set_target_properties(stagecraft::cadical PROPERTIES IMPORTED_LOCATION ${STAGECRAFT_CADICAL_LIBRARY}
                                                       INTERFACE_INCLUDE_DIRECTORIES ${STAGECRAFT_CADICAL_INCLUDE})
endif()
