# One interface target with the warnings, sanitizers and floating-point rules of the project's own code.
# Linked as $<BUILD_INTERFACE:...> so that it stays out of the exported package.
add_library(stagecraft_flags INTERFACE)
target_compile_options(
  stagecraft_flags
  INTERFACE -ffp-contract=off
            -Wall
            -Wextra
            -Wpedantic
            $<$<NOT:$<BOOL:${STAGECRAFT_UNITY}>>:-Wshadow>
            -Wconversion
            -Wsign-conversion
            -Wnon-virtual-dtor
            -Woverloaded-virtual
            -Wold-style-cast
            -Wcast-align
            -Wdouble-promotion
            -Wformat=2
            -Wimplicit-fallthrough
            $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond;-Wlogical-op;-Wno-restrict>
            $<$<BOOL:${STAGECRAFT_WERROR}>:-Werror>)
if(STAGECRAFT_SANITIZE)
  target_compile_options(stagecraft_flags INTERFACE -fsanitize=${STAGECRAFT_SANITIZE}
                                                    -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(stagecraft_flags INTERFACE -fsanitize=${STAGECRAFT_SANITIZE})
endif()
