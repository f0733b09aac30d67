// Schedules as ops text: one line per device, ops separated by one space, in the grammar of
// core/op.hpp. There is no header: the reader is told the shape of the pipeline.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stagecraft/core/diagnostics.hpp"
#include "stagecraft/core/op.hpp"
#include "stagecraft/plan/pipeline.hpp"
#include "stagecraft/schedule/schedule.hpp"

namespace stagecraft {

/// The op that `text` is the text form of (core/op.hpp), or nothing. Slice ".0" may be written out.
[[nodiscard]] std::optional<Op> parse_op(std::string_view text);

/// Why an op cannot be in the list of `device` (stage, micro-batch, slice or direction that the
/// pipeline does not have, a stage of another device, an op that only the engine adds), or empty.
[[nodiscard]] std::string op_misfit(const Op& op, const Pipeline& pipeline, std::int32_t device);

/// One line per device, each ended by a newline.
[[nodiscard]] std::string to_ops_text(const Schedule& schedule);

/// Reads what to_ops_text wrote; between ops any run of blanks will do. All errors are reported (up
/// to 20), each with file:line:column. That the ops make a valid schedule is for `verify` to say.
[[nodiscard]] Result<Schedule> parse_ops_text(std::string_view text, const Pipeline& pipeline,
                                              const std::string& file);

}  // namespace stagecraft
