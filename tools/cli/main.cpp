#include <cstdio>

#include "stagecraft/version.hpp"

int main() {
  std::printf("stagecraft %s\n", stagecraft::kVersion);
  return 0;
}
