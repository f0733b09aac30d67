// The sources of the HTML page (sim/report/page), embedded when the library is built.
#pragma once

namespace stagecraft::report {

extern const char* const kPageTemplate;  ///< with @STYLE@, @DATA@ and @SCRIPT@ to replace
extern const char* const kPageStyle;
extern const char* const kPageScript;

}  // namespace stagecraft::report
