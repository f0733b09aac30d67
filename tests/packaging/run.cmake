# Installs the build into a scratch prefix, builds the consumer against it and checks what it prints: 1F1B with P=4, M=8
# and F=B=W=1000 ns takes (M+P-1)(F+BW) = 33000 ns.
# Variables: BUILD, SOURCE (of the consumer), WORK, GENERATOR.
file(REMOVE_RECURSE ${WORK})
function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGV}\n${output}")
  endif()
  set(output ${output} PARENT_SCOPE)
endfunction()
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
run(${CMAKE_COMMAND} -S ${SOURCE} -B ${WORK}/build -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${WORK}/prefix
    -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
if(NOT output STREQUAL "33000\n")
  message(FATAL_ERROR "the consumer printed '${output}', expected 33000")
endif()
run(${WORK}/prefix/bin/stagecraft --version)
