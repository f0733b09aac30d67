#include "data/lengths/words.hpp"

namespace stagecraft::data {

std::string tokens_text(Tokens tokens) {
  constexpr Tokens kKi = 1024;
  if (tokens == 0 || tokens % kKi != 0) {
    return std::to_string(tokens);
  }
  return tokens % (kKi * kKi) == 0 ? std::to_string(tokens / (kKi * kKi)) + "M"
                                   : std::to_string(tokens / kKi) + "K";
}

}  // namespace stagecraft::data
