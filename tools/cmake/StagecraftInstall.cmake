# Installs the libraries, headers, program and CMake package (find_package(stagecraft)).
include(CMakePackageConfigHelpers)
get_property(rooms GLOBAL PROPERTY STAGECRAFT_ROOMS)
install(TARGETS ${rooms} stagecraft_umbrella EXPORT stagecraftTargets)
install(TARGETS stagecraft_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/stagecraft ${PROJECT_BINARY_DIR}/include/stagecraft
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/stagecraft)
install(EXPORT stagecraftTargets NAMESPACE stagecraft:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/tools/cmake/stagecraftConfig.cmake.in
                              ${PROJECT_BINARY_DIR}/stagecraftConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/stagecraftConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/stagecraftConfig.cmake
              ${PROJECT_BINARY_DIR}/stagecraftConfigVersion.cmake
              ${PROJECT_SOURCE_DIR}/tools/cmake/StagecraftFindCadical.cmake DESTINATION ${package_dir})
